package exchange_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/policies"
)

// propose brings a policy before those who sign.
func (g *gate) propose(t *testing.T, set *policies.Set) exchange.Proposal {
	t.Helper()
	bundle, err := set.Bundle()
	ok(t, err)
	p, err := g.ProposePolicy(t.Context(), g.who["steward"], exchange.PolicyDraft{Bundle: bundle, Reason: "a test"})
	ok(t, err)
	return p
}

// signs brings a person's signature, with a key of the person's role.
func (g *gate) signs(t *testing.T, p exchange.Proposal, principal string) (exchange.Proposal, error) {
	t.Helper()
	role, _, _ := strings.Cut(principal, "/")
	armored := g.people.Sign(t, approval.Policy, principal, []byte(p.Statement))
	return g.ApproveProposal(t.Context(), g.who[role], p.ID, armored, "read")
}

// activate puts a policy in force by two signatures.
func (g *gate) activate(t *testing.T, set *policies.Set) {
	t.Helper()
	p := g.propose(t, set)
	_, err := g.signs(t, p, "officer/officer")
	ok(t, err)
	p, err = g.signs(t, p, "steward/steward")
	ok(t, err)
	if p.State != registry.Active || g.Policies().Revision() != set.Revision() {
		t.Fatalf("the proposal is %s, in force %s", p.State, g.Policies().Revision())
	}
}

func finer(t *testing.T) *policies.Set {
	t.Helper()
	return edited(t, "data.json", "diagnosis_characters", "3", "4")
}

// A reader that waits in the middle until it is let go on.
type halting struct {
	r     io.Reader
	after int
	at    chan struct{} // closed when it waits
	open  chan struct{}
}

func (h *halting) Read(p []byte) (int, error) {
	if h.after <= 0 && h.at != nil {
		close(h.at)
		<-h.open
		h.at = nil
	}
	n, err := h.r.Read(p[:min(len(p), 512)])
	h.after -= n
	return n, err
}

// architecture.md 2: a request ends under the policy it began with. One upload is in
// the middle of its file while another policy comes in force.
func TestRequestsEndUnderTheirPolicy(t *testing.T) {
	g := newExchange(t)
	before := g.Policies().Revision()
	file := files(t)["health"]
	u := sending("health", "k1", file)
	body := &halting{r: bytes.NewReader(file), after: len(file) / 2, at: make(chan struct{}), open: make(chan struct{})}
	u.Body = body
	waits := body.at
	type result struct {
		receipt gateway.Receipt
		err     error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		made, err := g.Upload(context.WithoutCancel(t.Context()), g.who["health"], u)
		if r.err = err; err == nil {
			r.err = json.Unmarshal(made.Receipt, &r.receipt)
		}
		done <- r
	}()
	select {
	case <-waits:
	case r := <-done:
		t.Fatalf("the upload did not wait: %v", r.err)
	}
	set := finer(t)
	g.activate(t, set)
	close(body.open)
	r := <-done
	ok(t, r.err)
	if r.receipt.Policy != before {
		t.Errorf("the upload began under %s and ended under %s", before, r.receipt.Policy)
	}
	var next gateway.Receipt
	ok(t, json.Unmarshal(g.send(t, "police", "k2", files(t)["police"]).Receipt, &next))
	if next.Policy != set.Revision() {
		t.Errorf("the next upload is under %s", next.Policy)
	}
	if !strings.Contains(g.Notice(), "signed by officer/officer and steward/steward") {
		t.Error(g.Notice())
	}
}

// Another gateway of the same registry follows, and a restart loads the same.
func TestGatewaysFollowTheRegistry(t *testing.T) {
	g := newExchange(t, func(o *exchange.Options) { o.Limits.Tick = 20 * time.Millisecond })
	other, err := exchange.New(t.Context(), g.options)
	ok(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); other.Run(ctx) }()
	set := finer(t)
	g.activate(t, set)
	for deadline := time.Now().Add(20 * time.Second); other.Policies().Revision() != set.Revision(); {
		if time.Now().After(deadline) {
			t.Fatal("the other gateway does not follow")
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	<-done
	g.reopen(t)
	if g.Policies().Revision() != set.Revision() {
		t.Errorf("after a restart %s is in force", g.Policies().Revision())
	}
}

// trust.md 6.4, B77 and B80 at the start and while running: what was written into the
// file past the program does not load; a running gateway keeps what it has.
func TestNothingUnsignedComesInForce(t *testing.T) {
	weak, err := finer(t).Bundle()
	ok(t, err)
	for name, attack := range map[string]struct {
		change string
		args   []any
	}{
		"other files":        {`UPDATE proposal SET content = ? WHERE state = 'active'`, []any{weak}},
		"no bundle":          {`UPDATE proposal SET content = ? WHERE state = 'active'`, []any{[]byte("x")}},
		"no signatures":      {`DELETE FROM approval`, nil},
		"an unsigned policy": {`INSERT INTO inforce SELECT 'policy', 2, digest, id, seq FROM proposal WHERE state = 'proposed'`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := newExchange(t)
			before := g.Policies().Revision()
			g.propose(t, finer(t))
			db, err := sql.Open("sqlite", g.path)
			ok(t, err)
			_, err = db.ExecContext(t.Context(), "PRAGMA foreign_keys = 0; "+attack.change, attack.args...)
			ok(t, errors.Join(err, db.Close()))
			if _, err := exchange.New(t.Context(), g.options); err == nil {
				t.Error("a gateway starts")
			}
			if g.Policies().Revision() != before {
				t.Error("the running gateway changed its policies")
			}
		})
	}
}

// What cannot be obeyed is not even proposed, and leaves nothing.
func TestProposalsRefused(t *testing.T) {
	g := newExchange(t)
	size := g.size(t)
	bundle := func(changes map[string]string) []byte {
		all := fstest.MapFS{}
		for _, f := range shipped(t).Files() {
			all[f.Name] = &fstest.MapFile{Data: []byte(f.Source)}
		}
		for name, text := range changes {
			all[name] = &fstest.MapFile{Data: []byte(text)}
		}
		set, err := policies.Compile(t.Context(), all)
		if err != nil {
			return nil
		}
		packed, err := set.Bundle()
		ok(t, err)
		return packed
	}
	calls := func(call string) []byte { // B78: packed by somebody else's tool
		return packed(t, shipped(t), "rows/bad.rego", "package rows.bad\n\nrefuse contains \"X\" if "+call+"\n")
	}
	same, err := shipped(t).Bundle()
	ok(t, err)
	for name, c := range map[string]struct {
		bundle []byte
		kind   gateway.Kind
		want   string
	}{
		"http.send":            {calls("http.send({})"), gateway.Invalid, "rows/bad.rego:3"},
		"opa.runtime":          {calls("opa.runtime()"), gateway.Invalid, "rows/bad.rego:3"},
		"time.now_ns":          {calls("time.now_ns() > 0"), gateway.Invalid, "rows/bad.rego:3"},
		"no bundle":            {[]byte("x"), gateway.Invalid, "cannot be read"},
		"a path that leads up": {packed(t, shipped(t), "../rows/x.rego", "package rows.x\n"), gateway.Invalid, "leads out of it"},
		"a failing test":       {bundle(map[string]string{"rows/new_test.rego": "package rows_test\n\ntest_no if false\n"}), gateway.Invalid, "own tests fail: rows/new_test.rego line 3"},
		"what is in force":     {same, gateway.Conflict, "is in force"},
		"nothing":              {nil, gateway.Invalid, "a bundle, or names a revision"},
	} {
		_, err := g.ProposePolicy(t.Context(), g.who["steward"], exchange.PolicyDraft{Bundle: c.bundle, Reason: "a test"})
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, who := range []string{"police", "researcher"} {
		_, err := g.ProposePolicy(t.Context(), g.who[who], exchange.PolicyDraft{Bundle: same, Reason: "a test"})
		is(t, err, gateway.NotFound)
		_, err = g.Proposals(t.Context(), g.who[who])
		is(t, err, gateway.NotFound)
	}
	if g.size(t) != size {
		t.Error("what was refused left a leaf")
	}
}

// What the officer reads is what is signed.
func TestEffectsAreWhatIsSigned(t *testing.T) {
	g := newExchange(t)
	p := g.propose(t, finer(t))
	s, err := approval.ParseStatement([]byte(p.Statement))
	ok(t, err)
	if s.Effects != approval.Of(p.Effects) || s.Installation != g.keys.Origin() || s.Base != string(g.Policies().Revision()) {
		t.Errorf("the statement is %s", p.Statement)
	}
	var e exchange.Effects
	ok(t, json.Unmarshal(p.Effects, &e))
	if len(e.Changes) != 2 || e.Changes[0].Direction != policies.Weaker || e.Changes[0].What != "health.icd10_main" || len(e.Files) != 1 {
		t.Errorf("the effects are %s", p.Effects)
	}
	rejected, err := g.RejectProposal(t.Context(), g.who["officer"], p.Object[:12], "too fine")
	ok(t, err)
	if rejected.State != registry.Rejected {
		t.Error(rejected.State)
	}
}

// packed is a bundle of a set with one more file, made by tar.
func packed(t *testing.T, set *policies.Set, name, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	all := append(set.Files(), policies.File{Name: name, Source: text})
	for _, f := range all {
		ok(t, archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.Name, Mode: 0o644, Size: int64(len(f.Source))}))
		_, err := archive.Write([]byte(f.Source))
		ok(t, err)
	}
	ok(t, errors.Join(archive.Close(), zip.Close()))
	return out.Bytes()
}
