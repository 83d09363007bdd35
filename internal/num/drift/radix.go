package drift

import (
	"math"
	"slices"
)

// radixFrom is the length from which the radix sort beats the comparison sort.
const radixFrom = 512

// SortFloats sorts finite values ascending, in place: a least-significant-digit radix sort of the order-preserving bits of each float in
// six passes of 11 bits, leaving out the passes in which all digits agree. -0 sorts before +0.
func SortFloats(xs []float64) {
	if len(xs) < radixFrom || len(xs) > math.MaxInt32 {
		slices.Sort(xs)
		return
	}
	keys := make([]uint64, len(xs))
	var counts [6][2048]uint32
	for i, x := range xs {
		k := orderedBits(x)
		keys[i] = k
		for pass := range counts {
			counts[pass][k>>(11*pass)&2047]++
		}
	}
	spare := make([]uint64, len(xs))
	for pass := range counts {
		shift := 11 * pass
		count := &counts[pass]
		if int(count[keys[0]>>shift&2047]) == len(keys) {
			continue
		}
		var at uint32
		for digit, n := range count {
			count[digit] = at
			at += n
		}
		for _, k := range keys {
			digit := k >> shift & 2047
			spare[count[digit]] = k
			count[digit]++
		}
		keys, spare = spare, keys
	}
	for i, k := range keys {
		xs[i] = fromOrderedBits(k)
	}
}

// orderedBits maps floats to integers of the same order: negative ones are inverted, the sign of the others is flipped.
func orderedBits(x float64) uint64 {
	b := math.Float64bits(x)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

func fromOrderedBits(k uint64) float64 {
	return math.Float64frombits(k ^ (uint64(int64(^k)>>63) | 1<<63))
}
