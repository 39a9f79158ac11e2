package main

import (
	"encoding/json"
	"os"
	"testing"
)

// The gateway, ClickHouse alone and the plain loader store the same rows of the same
// children. How fast they are is no matter of a test.
func TestBenchIntake(t *testing.T) {
	if testing.Short() {
		t.Skip("an engine for each")
	}
	c := command(self(t), "bench", "intake", "--rows", "3000", "--rounds", "1", "--json")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("bench intake: %v\n%s", err, out)
	}
	var result intakeResult
	err = json.Unmarshal(out, &result)
	if err != nil {
		t.Fatal(err)
	}
	if !result.SameRows || len(result.Contenders) != 6 || result.Rows != 3000 {
		t.Errorf("the tables do not hold the same 3,000 rows: %s", out)
	}
	for _, k := range result.Contenders {
		if k.Rows <= 0 || k.Same == "" && k.Name != "gateway-rejects" {
			t.Errorf("%s: %v rows/s, fingerprint %q", k.Name, k.Rows, k.Same)
		}
	}
}
