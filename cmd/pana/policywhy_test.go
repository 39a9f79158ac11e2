package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/policies"
)

// stockOPA finds the public opa. .ci/run installs it and demands it; elsewhere a test
// without it is skipped.
func stockOPA(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("opa")
	if err != nil && os.Getenv("PANA_TEST_TOOLS") == "required" {
		t.Fatal("opa is not installed; see .ci/run")
	}
	if err != nil {
		t.Skip("opa is not installed; see .ci/run")
	}
	return path
}

// logged is a decision as the gateway logs it.
func logged(t *testing.T, set *policies.Set, purpose gateway.Purpose, state gateway.ReleaseState) replayed {
	t.Helper()
	caller := gateway.Caller{Key: "k1", Role: gateway.RoleResearcher, Purposes: []gateway.Purpose{"reach", "overlap"}}
	release := &gateway.Release{State: state}
	grant, err := set.Decide(t.Context(), caller, gateway.ActAsk, purpose, release)
	if err != nil {
		t.Fatal(err)
	}
	input, redacted := policies.Logged(caller, gateway.ActAsk, purpose, release)
	return replayed{set: set, Policy: set.Revision(), Logged: ledger.Decided{
		Input: input, Redacted: redacted, Allow: grant.Allow, Rule: grant.Rule, Because: grant.Because,
	}}
}

// Whatever was decided, the replay and the stock opa decide the same from the logged
// input: allowed, no purpose of the grant, a closed release.
func TestStockOPADecidesTheSame(t *testing.T) {
	set, err := policies.Embedded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	opa := stockOPA(t)
	for name, c := range map[string]struct {
		purpose  gateway.Purpose
		state    gateway.ReleaseState
		allow    bool
		redacted bool
		fired    string
	}{
		"allowed": {"reach", gateway.ReleaseApproved, true, false, "access/researcher.rego:11"},
		"purpose": {"aliya.kim", gateway.ReleaseApproved, false, true, "access/decision.rego:39"},
		"closed":  {"reach", gateway.ReleaseWithdrawn, false, false, "access/decision.rego:44"},
	} {
		t.Run(name, func(t *testing.T) {
			r := logged(t, set, c.purpose, c.state)
			if bytes.Contains(r.Logged.Input, []byte("aliya")) || r.Logged.Redacted != c.redacted {
				t.Fatalf("logged: %s", r.Logged.Input)
			}
			err := r.again(t.Context())
			if err != nil || !r.Same || r.Now.Allow != c.allow {
				t.Fatalf("replayed as %+v, %v; logged %+v", r.Now, err, r.Logged)
			}
			places := ""
			for _, f := range r.Fired {
				places += f.Place + " "
			}
			if !strings.Contains(places, c.fired+" ") {
				t.Errorf("the rules that held: %s", places)
			}
			command, err := r.export(filepath.Join(t.TempDir(), "replay"))
			if err != nil {
				t.Fatal(err)
			}
			if got := runOPA(t, opa, command); got != (decision{r.Logged.Allow, r.Logged.Rule, r.Logged.Because}) {
				t.Errorf("opa decides %+v, logged is %+v", got, r.Logged)
			}
		})
	}
}

type decision struct {
	Allow         bool
	Rule, Because string
}

// runOPA runs the printed command as it is.
func runOPA(t *testing.T, opa, command string) decision {
	t.Helper()
	run := exec.CommandContext(t.Context(), "sh", "-c", command)
	run.Env = append(os.Environ(), "PATH="+filepath.Dir(opa)+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	var answer struct {
		Result []struct {
			Expressions []struct{ Value decision }
		}
	}
	err = json.Unmarshal(out, &answer)
	if err != nil || len(answer.Result) != 1 {
		t.Fatalf("%s: %v", out, err)
	}
	d := answer.Result[0].Expressions[0].Value
	d.Because = strings.Join(strings.Fields(d.Because), " ")
	return d
}

// A log that says something else than the policies is told loudly, whatever it is.
func TestReplayDiffers(t *testing.T) {
	set, err := policies.Embedded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, alter := range map[string]func(*ledger.Decided){
		"outcome": func(d *ledger.Decided) { d.Allow = !d.Allow },
		"rule":    func(d *ledger.Decided) { d.Rule = "access.officer" },
		"reason":  func(d *ledger.Decided) { d.Because = "Because." },
		"input": func(d *ledger.Decided) {
			d.Input = json.RawMessage(strings.Replace(string(d.Input), "approved", "withdrawn", 1))
		},
	} {
		r := logged(t, set, "reach", gateway.ReleaseApproved)
		alter(&r.Logged)
		err := r.again(t.Context())
		var out bytes.Buffer
		if err != nil || r.Same || r.write(&out) != nil || !strings.Contains(out.String(), "*** THE REPLAY DIFFERS") {
			t.Errorf("%s: not told: %v\n%s", name, err, out.String())
		}
	}
}

// What is stored beside a leaf is believed only where the leaf commits to it.
func TestReadDecision(t *testing.T) {
	detail, err := json.Marshal(ledger.AnswerDetail([32]byte{}, &ledger.Decided{Input: json.RawMessage(`{"role":"researcher"}`), Rule: "access", Because: "b"}))
	if err != nil {
		t.Fatal(err)
	}
	salt := []byte("0123456789abcdef")
	leaf := ledger.Leaf{
		Seq: 7, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Event: ledger.Question, Actor: "k1", Object: "demo-1/reach/-", Policy: gateway.Revision(strings.Repeat("a", 64)),
		Outcome: ledger.Denied, Commit: ledger.Commitment(salt, detail),
	}
	data, err := leaf.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if r, err := readDecision(registry.Decision{Seq: 7, Leaf: data, Salt: salt, Detail: detail}); err != nil || r.Leaf != 7 || r.Logged.Rule != "access" {
		t.Fatal(r, err)
	}
	other := bytes.Replace(detail, []byte("researcher"), []byte("officer"), 1)
	if _, err := readDecision(registry.Decision{Seq: 7, Leaf: data, Salt: salt, Detail: other}); err == nil || !strings.Contains(err.Error(), "does not commit") {
		t.Errorf("an altered input is believed: %v", err)
	}
	if _, err := readDecision(registry.Decision{Seq: 7, Leaf: data}); err == nil || !strings.Contains(err.Error(), "erased") {
		t.Errorf("an erased input: %v", err)
	}
}
