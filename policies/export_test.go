package policies

// Remembered returns how many decisions a set has kept.
func Remembered(s *Set) int {
	n := 0
	s.decisions.Range(func(any, any) bool { n++; return true })
	return n
}
