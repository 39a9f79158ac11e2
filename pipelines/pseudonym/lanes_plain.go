//go:build !goexperiment.simd || !amd64

package pseudonym

// The plain build hashes many identifiers one after the other.

func manyIdentifiers(_, _ []byte, one func([]byte) [16]byte) func([][16]byte, []byte, []Span, func([]byte) []byte) {
	return each(one)
}

func manyLayers(outer, shift []byte) func(dst [][16]byte, shifts []uint16) {
	return eachLayer(outer, shift)
}
