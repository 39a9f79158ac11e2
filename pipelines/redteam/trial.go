package redteam

// A trial is one protection of one world under one noise key, with everything that
// attacks compute once.
type trial struct {
	*world

	by  publisher
	key int

	views    map[int]*view // release number → the world as it is
	solution *estimate
	margins  []float64
}

func newTrial(w *world, by publisher, key int) *trial {
	return &trial{world: w, by: by, key: key, views: map[int]*view{}}
}

// release publishes the world as it is once more.
func (t *trial) release(number int) (*view, error) {
	if v := t.views[number]; v != nil {
		return v, nil
	}
	v, err := t.publish(t.truth, number)
	if err == nil {
		t.views[number] = v
	}
	return v, err
}

// publish publishes other counts of the same lattice.
func (t *trial) publish(counts []tally, number int) (*view, error) {
	p := population{lattice: t.lattice, counts: counts, records: t.records, added: t.added, rules: t.rules}
	if number > 1 {
		first, err := t.release(1)
		if err != nil {
			return nil, err
		}
		if first.published != nil {
			p.gate = first.published.Gate()
		}
	}
	return t.by.publish(p, t.key, number)
}

// estimate is the careful reconstruction of the first release.
func (t *trial) estimate() (*estimate, error) {
	if t.solution != nil {
		return t.solution, nil
	}
	v, err := t.release(1)
	if err != nil {
		return nil, err
	}
	t.solution = t.reconstruct(v, true, nil)
	return t.solution, nil
}

// baseline is the model fitted to the published one-way margins.
func (t *trial) baseline() ([]float64, error) {
	if t.margins != nil {
		return t.margins, nil
	}
	v, err := t.release(1)
	if err != nil {
		return nil, err
	}
	t.margins = t.independent(v)
	return t.margins, nil
}

// isBase reports whether a cell is of the finest set.
func (t *trial) isBase(c int) bool {
	s := t.base()
	return c >= s.first && c < s.first+s.cells
}

// addsUp reports whether a cell names partition dimensions only.
func (t *trial) addsUp(c int) bool { return !t.sets[t.set[c]].multi }
