package stats

import "math"

// NormalCDF is the standard normal distribution function (scipy.stats.norm.cdf), accurate in both tails.
func NormalCDF(z float64) float64 { return 0.5 * math.Erfc(-z/math.Sqrt2) }

// NormalSF is 1 - NormalCDF without cancellation (scipy.stats.norm.sf).
func NormalSF(z float64) float64 { return 0.5 * math.Erfc(z/math.Sqrt2) }

// NormalQuantile is the inverse of NormalCDF (scipy.stats.norm.ppf): -Inf at 0, +Inf at 1, NaN outside. Algorithm AS 241
// (PPND16) of Wichura (1988), good to about 1e-16 in the whole range.
func NormalQuantile(p float64) float64 {
	switch {
	case !(p >= 0 && p <= 1):
		return math.NaN()
	case p == 0:
		return math.Inf(-1)
	case p == 1:
		return math.Inf(1)
	}
	q := p - 0.5
	if math.Abs(q) <= 0.425 {
		r := 0.180625 - q*q
		return q * polynomial(r, 3.387132872796366608, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125,
			45921.953931549871457, 67265.770927008700853, 33430.575583588128105, 2509.0809287301226727) /
			polynomial(r, 1, 42.313330701600911252, 687.1870074920579083, 5394.1960214247511077, 21213.794301586595867,
				39307.89580009271061, 28729.085735721942674, 5226.495278852545925)
	}
	r := math.Sqrt(-math.Log(min(p, 1-p)))
	var z float64
	if r <= 5 {
		r -= 1.6
		z = polynomial(r, 1.42343711074968357734, 4.6303378461565452959, 5.7694972214606914055, 3.64784832476320460504,
			1.27045825245236838258, 0.24178072517745061177, 0.0227238449892691845833, 7.7454501427834140764e-4) /
			polynomial(r, 1, 2.05319162663775882187, 1.6763848301838038494, 0.68976733498510000455, 0.14810397642748007459,
				0.0151986665636164571966, 5.475938084995344946e-4, 1.05075007164441684324e-9)
	} else {
		r -= 5
		z = polynomial(r, 6.6579046435011037772, 5.4637849111641143699, 1.7848265399172913358, 0.29656057182850489123,
			0.026532189526576123093, 0.0012426609473880784386, 2.71155556874348757815e-5, 2.01033439929228813265e-7) /
			polynomial(r, 1, 0.59983220655588793769, 0.13692988092273580531, 0.0148753612908506148525, 7.868691311456132591e-4,
				1.8463183175100546818e-5, 1.4215117583164458887e-7, 2.04426310338993978564e-15)
	}
	return math.Copysign(z, q)
}

// polynomial is c[0] + c[1] x + c[2] x^2 ...
func polynomial(x float64, c ...float64) float64 {
	var y float64
	for i := len(c) - 1; i >= 0; i-- {
		y = y*x + c[i]
	}
	return y
}

// ChiSquareSF is the upper tail of the chi-square distribution with df degrees of freedom (scipy.stats.chi2.sf):
// the regularised upper incomplete gamma function Q(df/2, x/2).
func ChiSquareSF(x, df float64) float64 {
	if math.IsNaN(x) || !(df > 0) {
		return math.NaN()
	}
	return GammaQ(df/2, x/2)
}

// GammaQ is the regularised upper incomplete gamma function Q(a, x) for a > 0 (scipy.special.gammaincc): the power series
// below x = a + 1, the modified Lentz continued fraction above (Abramowitz and Stegun 6.5.29 and 6.5.31).
func GammaQ(a, x float64) float64 {
	switch {
	case math.IsNaN(x) || !(a > 0):
		return math.NaN()
	case x <= 0:
		return 1
	case math.IsInf(x, 1):
		return 0
	case x < a+1:
		return 1 - gammaSeries(a, x)
	}
	return gammaFraction(a, x)
}

// GammaP is 1 - GammaQ without cancellation (scipy.special.gammainc).
func GammaP(a, x float64) float64 {
	switch {
	case math.IsNaN(x) || !(a > 0):
		return math.NaN()
	case x <= 0:
		return 0
	case math.IsInf(x, 1):
		return 1
	case x < a+1:
		return gammaSeries(a, x)
	}
	return 1 - gammaFraction(a, x)
}

const maxTerms = 100_000

func gammaSeries(a, x float64) float64 {
	term := 1 / a
	sum := term
	for n := 1; n < maxTerms; n++ {
		term *= x / (a + float64(n))
		sum += term
		if term < sum*1e-17 {
			break
		}
	}
	return sum * gammaPrefix(a, x)
}

func gammaFraction(a, x float64) float64 {
	const tiny = 1e-300
	b := x + 1 - a
	c, d := 1/tiny, 1/b
	h := d
	for n := 1; n < maxTerms; n++ {
		an := -float64(n) * (float64(n) - a)
		b += 2
		d = 1 / nonZero(an*d+b, tiny)
		c = nonZero(b+an/c, tiny)
		h *= d * c
		if math.Abs(d*c-1) < 1e-16 {
			break
		}
	}
	return h * gammaPrefix(a, x)
}

// gammaPrefix is x^a e^-x / Gamma(a). For large a the logarithms cancel, so the exponent is taken around its peak
// (x = a) with Stirling's series for the rest.
func gammaPrefix(a, x float64) float64 {
	if a < 20 {
		lg, _ := math.Lgamma(a)
		return math.Exp(a*math.Log(x) - x - lg)
	}
	u := (x - a) / a
	exponent := a * (math.Log1p(u) - u)
	return math.Sqrt(a/(2*math.Pi)) * math.Exp(exponent-stirlingTail(a))
}

// stirlingTail is log Gamma(a) - ((a - 1/2) log a - a + log(2 pi)/2) for a >= 10 (Abramowitz and Stegun 6.1.41).
func stirlingTail(a float64) float64 {
	r := 1 / a
	r2 := r * r
	return r * (1.0/12 + r2*(-1.0/360+r2*(1.0/1260+r2*(-1.0/1680+r2*(1.0/1188+r2*(-691.0/360360+r2*(1.0/156)))))))
}

func nonZero(x, tiny float64) float64 {
	if math.Abs(x) < tiny {
		return tiny
	}
	return x
}

// BetaI is the regularised incomplete beta function I_x(a, b) for a, b > 0 and 0 <= x <= 1 (scipy.special.betainc),
// by the continued fraction of Didonato and Morris in Lentz's form (Numerical Recipes 6.4).
func BetaI(a, b, x float64) float64 {
	switch {
	case !(a > 0) || !(b > 0) || !(x >= 0 && x <= 1):
		return math.NaN()
	case x == 0 || x == 1:
		return x
	}
	return betaTail(a, b, x, 1-x)
}

// betaTail is BetaI for an x whose complement y = 1 - x is known to its last digit.
func betaTail(a, b, x, y float64) float64 {
	logX, logY := math.Log(x), math.Log(y)
	if x > 0.5 {
		logX = math.Log1p(-y)
	} else {
		logY = math.Log1p(-x)
	}
	prefix := math.Exp(a*logX + b*logY - logBeta(a, b))
	if x < (a+1)/(a+b+2) {
		return prefix * betaFraction(a, b, x) / a
	}
	return 1 - prefix*betaFraction(b, a, y)/b
}

// logBeta is log B(a, b); where both or the larger are big, log-gamma differences cancel and Stirling tails do not.
func logBeta(a, b float64) float64 {
	if a > b {
		a, b = b, a
	}
	if b < 20 {
		la, _ := math.Lgamma(a)
		lb, _ := math.Lgamma(b)
		lab, _ := math.Lgamma(a + b)
		return la + lb - lab
	}
	if a < 20 {
		la, _ := math.Lgamma(a)
		// log Gamma(b) - log Gamma(a+b)
		return la + a - a*math.Log(a+b) + (b-0.5)*-math.Log1p(a/b) + stirlingTail(b) - stirlingTail(a+b)
	}
	return 0.5*math.Log(2*math.Pi) - 0.5*math.Log(b) + (a-0.5)*math.Log(a/(a+b)) - b*math.Log1p(a/b) +
		stirlingTail(a) + stirlingTail(b) - stirlingTail(a+b)
}

func betaFraction(a, b, x float64) float64 {
	const tiny = 1e-300
	c, d := 1.0, 1/nonZero(1-(a+b)*x/(a+1), tiny)
	h := d
	for n := 1; n < maxTerms; n++ {
		m := float64(n)
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d = 1 / nonZero(1+even*d, tiny)
		c = nonZero(1+even/c, tiny)
		h *= d * c
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d = 1 / nonZero(1+odd*d, tiny)
		c = nonZero(1+odd/c, tiny)
		h *= d * c
		if math.Abs(d*c-1) < 1e-16 {
			break
		}
	}
	return h
}

// StudentSF is the upper tail P(T > t) of Student's t with df > 0 degrees of freedom, which need not be whole
// (scipy.stats.t.sf): half of I_x(df/2, 1/2) at x = df/(df+t^2).
func StudentSF(t, df float64) float64 {
	switch {
	case math.IsNaN(t) || !(df > 0):
		return math.NaN()
	case math.IsInf(df, 1):
		return NormalSF(t)
	case t < 0:
		return 1 - StudentSF(-t, df)
	case t == 0:
		return 0.5
	case math.IsInf(t, 1):
		return 0
	}
	x, y := df/(df+t*t), t*t/(df+t*t)
	if t*t < 1 { // the tail is near one half
		return 0.5 * (1 - betaTail(0.5, df/2, y, x))
	}
	return 0.5 * betaTail(df/2, 0.5, x, y)
}

// StudentQuantile is the value that Student's t with df degrees of freedom stays below with probability p
// (scipy.stats.t.ppf), by bisection on StudentSF to full precision.
func StudentQuantile(p, df float64) float64 {
	switch {
	case !(p >= 0 && p <= 1) || !(df > 0):
		return math.NaN()
	case p == 0:
		return math.Inf(-1)
	case p == 1:
		return math.Inf(1)
	case p == 0.5:
		return 0
	case p < 0.5:
		return -upperStudent(p, df)
	}
	return upperStudent(1-p, df)
}

// upperStudent solves StudentSF(t, df) = q for q <= 1/2.
func upperStudent(q, df float64) float64 {
	low, high := 0.0, 1.0
	for StudentSF(high, df) > q && high < math.MaxFloat64/4 {
		low, high = high, 2*high
	}
	for range 200 {
		mid := low + (high-low)/2
		if mid == low || mid == high {
			break
		}
		if StudentSF(mid, df) > q {
			low = mid
		} else {
			high = mid
		}
	}
	return low + (high-low)/2
}
