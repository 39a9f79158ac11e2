package registry

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway/ledger"
)

// cosigned stores a cosignature on the checkpoint of this moment: the registry keeps
// what package witness verified.
func cosigned(t *testing.T, r *Registry, witness string, enough bool) string {
	t.Helper()
	checkpoint, err := r.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf("— %s AAAAAAAA\n", witness)
	err = r.Cosign(t.Context(), checkpoint, []ledger.Cosignature{{Witness: witness, Key: 1 << 31, Time: time.Unix(1, 0).UTC(), Line: line}}, enough)
	if err != nil {
		t.Fatal(err)
	}
	return checkpoint
}

// What witnesses signed is kept by witness, the newest of each, and never grows the
// ledger; only what enough of them signed is published.
func TestCosign(t *testing.T) {
	r, _ := start(t)
	if w, err := r.Witnessed(t.Context()); err != nil || w.Checkpoint != "" || !w.At.IsZero() {
		t.Fatal(w, err)
	}
	first := cosigned(t, r, "a", true)
	grow(t, r, 3)
	cosigned(t, r, "b", false)
	if w, err := r.Witnessed(t.Context()); err != nil || w.Checkpoint != first+"— a AAAAAAAA\n" || w.Size != 3 {
		t.Fatal(w, err)
	}
	second := cosigned(t, r, "a", true)
	size, err := r.Size(t.Context())
	if err != nil || size != 6 {
		t.Fatal(size, err)
	}
	all, err := r.Cosigned(t.Context())
	if err != nil || len(all) != 2 || all[0].Witness != "a" || all[0].Size != 6 || all[0].Checkpoint != second || all[0].Key != 1<<31 {
		t.Fatal(all, err)
	}
	// One that comes late changes nothing.
	if err := r.Cosign(t.Context(), first, all[:1:1][0].in(), true); err != nil {
		t.Fatal(err)
	}
	if w, err := r.Witnessed(t.Context()); err != nil || w.Size != 6 || !strings.HasPrefix(w.Checkpoint, second) {
		t.Fatal(w, err)
	}
	if err := r.Cosign(t.Context(), "no checkpoint", nil, true); err == nil {
		t.Fatal("stored")
	}
	grow(t, r, 2)
	for index, covered := range map[uint64]uint64{5: 6, 6: 8} { // witnessed, and not yet
		e, err := r.ProveLeaf(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		p, err := ledger.ParseInclusion(e.Proof, e.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := ledger.OpenCheckpoint(p.Checkpoint, r.opt.Verifier)
		if err != nil || uint64(tree.N) != covered {
			t.Fatal(tree, err)
		}
		if leaf, err := p.Verify(r.opt.Verifier); err != nil || leaf.Seq != index {
			t.Fatal(leaf, err)
		}
	}
}

func (c Cosigned) in() []ledger.Cosignature { return []ledger.Cosignature{c.Cosignature} }

// A ledger that does not continue what was cosigned is not opened (F22).
func TestCosignedIsHeldAgainst(t *testing.T) {
	for name, change := range map[string]string{
		"longer":  `UPDATE cosignature SET size = size + 1`,
		"another": `UPDATE cosignature SET note = replace(note, substr(note, 14, 8), 'AAAAAAAA')`,
		"ours":    `UPDATE witnessed SET note = 'x'`,
	} {
		c := newClock()
		opt := c.options(t)
		r := mustOpen(t, opt)
		grow(t, r, 5)
		cosigned(t, r, "a", true)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = mustOpen(t, opt)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		tamper(t, opt.Path, change)
		if r, err := Open(t.Context(), opt); !errors.Is(err, ErrEvidence) {
			t.Errorf("%s: %v", name, err)
			_ = r.Close()
		}
	}
}

// Probe leaves no leaf.
func TestProbe(t *testing.T) {
	r, c := start(t)
	before, err := r.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.add(time.Hour)
	if err := r.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, err := r.Size(t.Context()); err != nil || after != before {
		t.Fatal(after, err)
	}
}
