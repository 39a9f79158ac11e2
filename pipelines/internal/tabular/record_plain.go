//go:build !goexperiment.simd || !amd64

package tabular

import "github.com/pana-exchange/pana/gateway"

func (s *CSV) record() (gateway.ProblemCode, bool) { return s.recordByWords() }
