package stats

import "math"

// kolmogorovMatrix is P(D_n <= d) by Durbin's matrix as Marsaglia, Tsang and Wang (2003) compute it: the k-th diagonal entry
// of n!/n^n H^n. H has 2k-1 rows, k = ceil(n d); the callers keep k below about 60.
func kolmogorovMatrix(n int, d float64) float64 {
	nd := float64(n) * d
	k := int(math.Ceil(nd))
	m, h := 2*k-1, float64(k)-nd
	power, exponent := matrixPower(durbinMatrix(m, h), m, n)
	p := power[(k-1)*m+k-1]
	for i := 1; i <= n; i++ {
		p *= float64(i) / float64(n)
		if p < 1e-140 {
			p, exponent = p*0x1p464, exponent-464
		}
	}
	return clip(math.Ldexp(p, exponent))
}

func durbinMatrix(m int, h float64) []float64 {
	matrix := make([]float64, m*m)
	inverse := make([]float64, m+1) // 1/i!
	inverse[0] = 1
	for i := 1; i <= m; i++ {
		inverse[i] = inverse[i-1] / float64(i)
	}
	for i := range m {
		for j := range min(i+2, m) {
			matrix[i*m+j] = inverse[i-j+1]
		}
	}
	for i := range m {
		edge := math.Pow(h, float64(i+1)) * inverse[i+1]
		matrix[i*m] -= edge
		matrix[(m-1)*m+m-1-i] -= edge
	}
	if 2*h > 1 {
		matrix[(m-1)*m] += math.Pow(2*h-1, float64(m)) * inverse[m]
	}
	return matrix
}

// matrixPower is base^n as (matrix, binary exponent), rescaled whenever its middle grows.
func matrixPower(base []float64, m, n int) ([]float64, int) {
	result := make([]float64, m*m)
	for i := range m {
		result[i*m+i] = 1
	}
	var resultExp, baseExp int
	spare := make([]float64, m*m)
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			multiply(spare, result, base, m)
			result, spare = spare, result
			resultExp += baseExp
			resultExp += rescale(result, m)
		}
		if n > 1 {
			multiply(spare, base, base, m)
			base, spare = spare, base
			baseExp *= 2
			baseExp += rescale(base, m)
		}
	}
	return result, resultExp
}

func rescale(matrix []float64, m int) int {
	middle := matrix[(m/2)*m+m/2]
	if middle < 0x1p400 {
		return 0
	}
	for i := range matrix {
		matrix[i] *= 0x1p-400
	}
	return 400
}

func multiply(out, a, b []float64, m int) {
	clear(out)
	for i := range m {
		row := out[i*m : (i+1)*m]
		for k := range m {
			x := a[i*m+k]
			if x == 0 {
				continue
			}
			for j, y := range b[k*m : (k+1)*m] {
				row[j] += x * y
			}
		}
	}
}

// kolmogorovSeries is P(D_n <= d) by the expansion of Pelz and Good (1976) up to n^-3/2, in the form that uses
// Jacobi's theta transform; accurate to about 1e-10 for n above 140.
func kolmogorovSeries(n, d float64) float64 {
	const pi2 = math.Pi * math.Pi
	root := math.Sqrt(n)
	z := root * d
	z2 := z * z
	z4, z6 := z2*z2, z2*z2*z2
	if pi2/8/z2 > 708 {
		return 0
	}
	var k0, k1, k2, k3, k2x, k3x float64
	terms := int(math.Ceil(16 * z / math.Pi))
	for k := terms; k >= 1; k-- {
		odd := float64(2*k - 1)
		m2 := odd * odd
		m4, m6 := m2*m2, m2*m2*m2
		q := math.Exp(-m2 * pi2 / 8 / z2)
		k0 += q
		k1 += q * (pi2/4*m2 - z2)
		k2 += q * (6*z6 + 2*z4 + pi2/4*(2*z4-5*z2)*m2 + pi2*pi2/16*(1-2*z2)*m4)
		k3 += q * (-30*z6 - 90*z4*z4 + pi2/4*(135*z4-96*z6)*m2 + pi2*pi2/16*(212*z4-60*z2)*m4 + pi2*pi2*pi2/64*(5-30*z2)*m6)
		square := float64(k * k)
		e := square * math.Exp(-square*pi2/2/z2)
		k2x += e
		k3x += e * (3*z2 - pi2*square)
	}
	s := math.Sqrt(2 * math.Pi)
	k0 *= s / z
	k1 *= s / (6 * z4)
	k2 = k2*s/(72*z6*z) - k2x*pi2*s/(36*z2*z)
	k3 = k3*s/(6480*z4*z6) + k3x*pi2*s/(216*z6)
	return clip(k0 + k1/root + k2/n + k3/(n*root))
}
