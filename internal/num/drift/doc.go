// Package drift measures how far a current sample lies from a reference: on whole columns (exact) and on sketches taken while
// predictions pass.
//
// A Profile names whose definitions are meant, because tools differ under one name. Implemented are:
//
//   - "evidently" (0.7): the method chosen by type, number of distinct values and reference size, its bins (numpy's "sturges" edges over
//     both samples, or one bin per value), its zero fill and its thresholds. See Choose and Measure.
//   - "nannyml" (0.13), where named: Jensen-Shannon distance in base 2 (JensenShannon with base 2) and the chi-square test of
//     independence (stats.ChiSquareContingency). NannyML learns thresholds from reference chunks; that is not done here.
//
// NaN and infinities are taken out of both samples first and counted as missing, as Evidently does.
package drift
