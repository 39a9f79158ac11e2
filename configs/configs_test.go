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
