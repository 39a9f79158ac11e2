package disclosure

import (
	"errors"
	"math"
	"slices"
)

// errNoRow: the constraints contradict one another, or the numbers did not settle.
// Nothing is published with a row that does not meet its constraints.
var errNoRow = errors.New("no distribution has this mean, variance and shape")

// A block is a run of support points that share their probability evenly. Mono
// makes blocks of several points; otherwise each point is its own.
type block struct {
	first, size int     // of the free points
	f, g        float64 // means of v and of v^2 over the points
	w           float64 // probability of the whole block
}

// An entropy is the solver of one row: the algorithm of disclosure.md 2.3, which
// reproduces CRAN's ptable 1.0.0 (10 parameter sets there; 7 here, to 1.3e-7)
// without a solver library.
//
// Maximising -sum p ln p under linear constraints has its solution in the exponential
// family: p(v) proportional to exp(beta*v + gamma*v^2), with beta and gamma the
// multipliers of the mean and of the variance. For points that must share their
// probability evenly (a block) the same holds with the block's means f of v and g of
// v^2, and its size as base measure: w = size*exp(beta*f + gamma*g). So a row is two
// equations in two unknowns, and their dual, log(sum w) with the targets taken off,
// is convex: damped Newton steps cannot miss.
type entropy struct {
	v      []float64 // deviations of the free points
	param  PTableParams
	stayAt int     // index in the row of v = 0 once it is fixed at Stay, else -1
	mass   float64 // probability left to the free points
	blocks []block
}

func newEntropy(r Row, p PTableParams) *entropy {
	s := &entropy{param: p, stayAt: -1, mass: 1}
	for _, j := range r.J {
		s.v = append(s.v, float64(j-r.I))
	}
	s.split()
	return s
}

// split makes each free point a block of its own.
func (s *entropy) split() {
	s.blocks = nil
	for a := range s.v {
		s.blocks = append(s.blocks, s.blockOf(a, 1))
	}
}

func (s *entropy) blockOf(first, size int) block {
	b := block{first: first, size: size}
	for _, v := range s.v[first : first+size] {
		b.f += v / float64(size)
		b.g += v * v / float64(size)
	}
	return b
}

// solve runs steps 3 to 5 until nothing changes: each round merges two blocks or
// fixes the one staying point, so it ends.
func (s *entropy) solve() error {
	for {
		if err := s.fit(); err != nil {
			return err
		}
		if s.pool() {
			continue
		}
		if !s.stay() {
			return nil
		}
	}
}

// fit finds beta and gamma for the present blocks (step 3): first as if the variance
// were free (gamma 0), and with it bound only if that comes out larger than V.
// Rows near zero often stay below V, having no room.
func (s *entropy) fit() error {
	target := s.param.V / s.mass // the free points carry the whole variance
	if !s.newton(0, false) {
		return errNoRow
	}
	if s.moment(func(b block) float64 { return b.g }) <= target {
		return nil
	}
	if !s.newton(target, true) {
		return errNoRow
	}
	return nil
}

func (s *entropy) moment(of func(block) float64) float64 {
	m := 0.0
	for _, b := range s.blocks {
		m += b.w * of(b)
	}
	return m
}

// dual returns log(sum size*exp(beta*f + gamma*(g-target))) and sets the weights.
// The largest exponent is taken out first: deviations go to 40 and more, their
// squares to thousands, and a float's exponential only to 709.
func (s *entropy) dual(beta, gamma, target float64) float64 {
	top := math.Inf(-1)
	for i := range s.blocks {
		b := &s.blocks[i]
		b.w = math.Log(float64(b.size)) + beta*b.f + gamma*(b.g-target)
		top = max(top, b.w)
	}
	sum := 0.0
	for i := range s.blocks {
		s.blocks[i].w = math.Exp(s.blocks[i].w - top)
		sum += s.blocks[i].w
	}
	for i := range s.blocks {
		s.blocks[i].w /= sum
	}
	return top + math.Log(sum)
}

// newton minimises the dual over beta, and over gamma too when the variance
// binds. It reports whether the residuals ended below the bound. Near the minimum
// steps are not damped: there the dual changes by less than a float can tell.
func (s *entropy) newton(target float64, binding bool) bool {
	beta, gamma := 0.0, 0.0
	for range 200 {
		at := s.dual(beta, gamma, target)
		db, dg, slope := s.step(target, binding)
		if !(slope > 1e-24) { // also ends on NaN
			break
		}
		size := 1.0
		for slope > 1e-10 && s.dual(beta-size*db, gamma-size*dg, target) > at-1e-4*size*slope && size > 1e-12 {
			size /= 2
		}
		beta, gamma = beta-size*db, gamma-size*dg
	}
	s.dual(beta, gamma, target)
	mean := s.moment(func(b block) float64 { return b.f })
	square := s.moment(func(b block) float64 { return b.g }) - target
	return math.Abs(mean) < residual && (!binding || math.Abs(square) < residual)
}

// step returns the Newton step and the decrease of the dual that it promises. The
// Hessian is the covariance of (f, g); a trace of ridge keeps it invertible when
// the weights sit on two points.
func (s *entropy) step(target float64, binding bool) (db, dg, slope float64) {
	var mf, mg, ff, fg, gg float64
	for _, b := range s.blocks {
		g := b.g - target
		mf += b.w * b.f
		mg += b.w * g
		ff += b.w * b.f * b.f
		fg += b.w * b.f * g
		gg += b.w * g * g
	}
	ff, fg, gg = ff-mf*mf, fg-mf*mg, gg-mg*mg
	ff += 1e-13 * (1 + ff)
	gg += 1e-13 * (1 + gg)
	if !binding {
		return mf / ff, 0, mf * mf / ff
	}
	det := ff*gg - fg*fg
	if det <= 0 {
		return mf, mg, mf*mf + mg*mg
	}
	db, dg = (gg*mf-fg*mg)/det, (ff*mg-fg*mf)/det
	return db, dg, mf*db + mg*dg
}

// pool merges the first two neighbours at v <= 0 whose probabilities fall from
// left to right, and reports whether there were any (step 4). Pooling adjacent
// violators is exact for monotone constraints, as in isotonic regression.
func (s *entropy) pool() bool {
	if !s.param.Mono {
		return false
	}
	for a := 0; a+1 < len(s.blocks); a++ {
		left, right := s.blocks[a], s.blocks[a+1]
		if s.v[right.first+right.size-1] > 0 {
			return false
		}
		if left.w/float64(left.size) > right.w/float64(right.size)*(1+1e-12) {
			s.blocks[a] = s.blockOf(left.first, left.size+right.size)
			s.blocks = slices.Delete(s.blocks, a+1, a+2)
			return true
		}
	}
	return false
}

// stay fixes the probability of v = 0 at Stay where it came out smaller, takes
// that point away and starts again with the rest (step 5). The rest has mass 1-Stay
// and carries the whole variance, so its target is V/(1-Stay). The default layers
// have no Stay; it is here because the reference tables have.
func (s *entropy) stay() bool {
	at := slices.Index(s.v, 0)
	if s.param.Stay == 0 || at < 0 || s.stayAt >= 0 {
		return false
	}
	for _, b := range s.blocks {
		if at >= b.first && at < b.first+b.size && b.w/float64(b.size) >= s.param.Stay {
			return false
		}
	}
	s.stayAt = at
	s.v = slices.Delete(s.v, at, at+1)
	s.mass = 1 - s.param.Stay
	s.split()
	return true
}

// probabilities splits the blocks evenly over their points (step 6).
func (s *entropy) probabilities() []float64 {
	var p []float64
	for _, b := range s.blocks {
		for range b.size {
			p = append(p, b.w/float64(b.size)*s.mass)
		}
	}
	if s.stayAt >= 0 {
		p = slices.Insert(p, s.stayAt, s.param.Stay)
	}
	return p
}
