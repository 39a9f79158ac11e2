package disclosure

import (
	"math"
	"testing"
)

// The figures of disclosure.md 2.5 for the two cubes of the demonstration.
func TestPlanDemo(t *testing.T) {
	b, err := Plan(demo())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", b)
	if a := b.Cubes[0].A; math.Abs(a-2.8708) > 1e-4 {
		t.Errorf("pathways alone: A = %.4f, want 2.87", a)
	}
	if a := b.Cubes[1].Counts; math.Abs(a-2.4844) > 1e-4 {
		t.Errorf("volume alone: A = %.4f, want 2.48", a)
	}
}
