package configs

import "testing"

func TestEmbedded(t *testing.T) {
	cs, err := Contracts()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cs {
		t.Log(c.ID, len(c.Fields), len(c.Layout()), c.Order)
	}
}

func TestDemo(t *testing.T) {
	d, err := Definition("demo")
	if err != nil {
		t.Fatal(err)
	}
	sets := d.AdmittedSets()
	n := 0
	for _, s := range sets {
		n += s.Set.NominalCells(d)
		t.Log(s.Set.Key(d), s.Set.NominalCells(d), s.Cubes, s.Grain, s.Measures)
	}
	t.Log(len(sets), n)
	for _, dim := range d.Dimensions {
		t.Log(dim.Name, len(dim.Nodes), dim.Nodes[0], dim.Source)
	}
}
