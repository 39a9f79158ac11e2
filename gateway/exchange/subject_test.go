package exchange_test

import (
	"bytes"
	"database/sql"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/registry"
)

// request asks for the erasure of a child and returns what the two sign.
func (g *gate) request(tb testing.TB, child string) registry.Proposal {
	tb.Helper()
	ok(tb, g.RequestErasure(tb.Context(), g.who["police"], []byte(child), registry.ErasureAsked))
	all, err := g.registry.Proposals(tb.Context(), registry.ErasureChange)
	ok(tb, err)
	for _, p := range all {
		if p.State == registry.Proposed && len(p.Approvals) == 0 {
			return p
		}
	}
	tb.Fatal("the request was not stored")
	return registry.Proposal{}
}

func (g *gate) signErasure(tb testing.TB, p registry.Proposal) {
	tb.Helper()
	for _, who := range []string{"officer", "steward"} {
		armored := g.people.Sign(tb, approval.Erasure, who+"/"+who, p.Statement)
		_, err := g.ApproveProposal(tb.Context(), g.who[who], p.ID, armored, "read")
		ok(tb, err)
	}
}

// child is the identifier of the first record of the police.
func child(tb testing.TB) string {
	tb.Helper()
	lines := strings.Split(string(files(tb)["police"]), "\n")
	column := slices.Index(strings.Split(lines[0], ","), "child_iin")
	if column < 0 {
		tb.Fatal("the file has no child_iin")
	}
	return strings.Split(lines[1], ",")[column]
}

// unheard is an identifier that is valid and in no file.
const unheard = "080229690004"

func (g *gate) checked(tb testing.TB) uint64 {
	tb.Helper()
	report, err := g.Check(tb.Context())
	ok(tb, err)
	if len(report.Findings) != 0 {
		tb.Fatalf("fsck finds %v", report.Findings)
	}
	return report.Rows
}

// The rows of a child are off the disk in every accepted batch of every agency, fsck
// agrees with what is left, and receipt and status say what they said (trust.md 6.1).
func TestErasureOfOneChild(t *testing.T) {
	g := newExchange(t)
	id := child(t)
	first := g.send(t, "police", "k1", files(t)["police"])
	g.send(t, "health", "k1", files(t)["health"])
	before, said := g.pids(t), g.checked(t)
	status, err := g.Batch(t.Context(), g.who["police"], first.Batch)
	ok(t, err)

	g.signErasure(t, g.request(t, unheard))
	if left := g.checked(t); left != said {
		t.Fatalf("of %d rows %d are left after the erasure of a child whom nobody knows", said, left)
	}
	p := g.request(t, id)
	if left := g.checked(t); left != said {
		t.Fatal("rows were erased before anybody signed")
	}
	g.signErasure(t, p)
	left := g.checked(t)
	after := g.pids(t)
	if len(after) != len(before)-1 || left >= said {
		t.Fatalf("of %d children and %d rows, %d and %d are left", len(before), said, len(after), left)
	}
	for pid, n := range after {
		if before[pid] != n {
			t.Fatal("another child has lost a row")
		}
	}
	again, err := g.Batch(t.Context(), g.who["police"], first.Batch)
	ok(t, err)
	if again.Stored != status.Stored || again.Refused != status.Refused || again.State != status.State {
		t.Errorf("the status of the batch was %+v and is %+v", status.Batch, again.Batch)
	}
	repeated := g.send(t, "police", "k1", files(t)["police"])
	if !repeated.Repeated || !bytes.Equal(repeated.Receipt, first.Receipt) || len(g.pids(t)) != len(after) {
		t.Error("the same file brought another receipt, or the child")
	}
	same(t, g.story(t, p.ID), "subject.erase intended", "subject.erase done")
	_, err = g.registry.Verify(t.Context())
	ok(t, err)
}

// What is stored and logged of a request does not depend on whether the child is known:
// the request reads no row (it works while the warehouse is away), what it stores has the
// same length, and the leaves differ in nothing but ids, times and commitments.
func TestErasureTellsNothing(t *testing.T) {
	g := newExchange(t)
	id := child(t)
	g.send(t, "police", "k1", files(t)["police"])
	from := g.size(t)
	var shapes [2][]string
	var sizes [2]int
	var due [2]registry.Proposal
	ok(t, g.house.Close()) // nothing that a request or a signature does may need a row
	for i, asked := range []string{id, unheard} {
		due[i] = g.request(t, asked)
		sizes[i] = len(due[i].Content)
		g.signErasure(t, due[i])
	}
	g.reopen(t)
	g.clean(t)
	for i, p := range due {
		for _, leaf := range g.leaves(t, from) {
			if strings.HasSuffix(leaf.Object, p.ID) {
				shapes[i] = append(shapes[i], string(leaf.Event)+" "+string(leaf.Outcome)+" "+leaf.Actor)
				if leaf.Event == "subject.erase" && leaf.Commit != "" {
					t.Error("the leaf of an erasure commits to something")
				}
			}
		}
	}
	if sizes[0] != sizes[1] || strings.Join(shapes[0], "\n") != strings.Join(shapes[1], "\n") || len(shapes[0]) != 5 {
		t.Errorf("a known child's request is told from an unknown one's:\n%q\n%q", shapes[0], shapes[1])
	}
	// Canary: the identifier and the pid are in no file of the registry.
	for _, suffix := range []string{"", "-wal"} {
		file, err := os.ReadFile(g.path + suffix)
		if err == nil && bytes.Contains(file, []byte(id)) {
			t.Error("the identifier is in the registry's file")
		}
	}
	for _, p := range due {
		stored, err := g.registry.Proposal(t.Context(), p.ID)
		ok(t, err)
		if len(stored.Content) != 0 {
			t.Error("the sealed child is kept after the erasure")
		}
	}
}

// A gateway that is killed between the plan and the end does the rest at the next start,
// whether the rows were gone by then or not, and subtracts once.
func TestErasureIsRepeated(t *testing.T) {
	for _, gone := range []bool{false, true} {
		g := newExchange(t)
		id := child(t)
		g.send(t, "police", "k1", files(t)["police"])
		children := len(g.pids(t))
		g.signErasure(t, g.request(t, id))
		path := g.path
		// The end cannot be logged: as after a kill, all but the end is done.
		db, err := sql.Open("sqlite", "file:"+path)
		ok(t, err)
		when := "BEFORE UPDATE OF done ON erasure"
		if !gone {
			when = "BEFORE UPDATE OF planned ON erasure"
		}
		_, err = db.ExecContext(t.Context(), "CREATE TRIGGER killed "+when+" BEGIN SELECT RAISE (ABORT, 'killed'); END")
		ok(t, err)
		if _, err := g.Check(t.Context()); err == nil {
			t.Fatal("the erasure came to its end")
		}
		if n := len(g.pids(t)); (n == children-1) != gone {
			t.Fatalf("%d of %d children are left", n, children)
		}
		_, err = db.ExecContext(t.Context(), "DROP TRIGGER killed")
		ok(t, err)
		ok(t, db.Close())
		g.reopen(t)
		g.clean(t)
		g.clean(t)
		if n := len(g.pids(t)); n != children-1 {
			t.Fatalf("%d of %d children are left", n, children)
		}
	}
}

// An erasure that cannot be carried out, because a contract is gone, stops none of those
// behind it.
func TestErasureHoldsUpNoOther(t *testing.T) {
	g := newExchange(t)
	g.send(t, "police", "k1", files(t)["police"])
	stuck := g.request(t, unheard)
	g.clock.move(time.Minute)
	children := len(g.pids(t))
	ok(t, g.RequestErasure(t.Context(), g.who["police"], []byte(child(t)), registry.ErasureAsked))
	all, err := g.registry.Proposals(t.Context(), registry.ErasureChange)
	ok(t, err)
	g.signErasure(t, all[0])
	// The first is signed later, so that it is about a batch of a contract that is removed.
	g.send(t, "health", "k1", files(t)["health"])
	g.signErasure(t, stuck)
	g.options.Contracts = slices.DeleteFunc(slices.Clone(g.options.Contracts), func(c *gateway.Contract) bool { return c.ID == "health" })
	g.reopen(t)
	_, err = g.Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), stuck.ID) || strings.Contains(err.Error(), all[0].ID) {
		t.Errorf("the erasure that cannot be carried out is not named alone: %v", err)
	}
	if n := len(g.pids(t)); n != children-1 {
		t.Errorf("%d of %d children are left", n, children)
	}
}

// An agency has so many open requests and no more, whoever they are about, and the key
// server is asked for none beyond; one that ends makes room.
func TestErasuresOfAnAgencyAreBounded(t *testing.T) {
	g := newExchange(t)
	var last registry.Proposal
	for range registry.MaxErasures {
		last = g.request(t, unheard)
	}
	from := g.size(t)
	for _, id := range []string{unheard, child(t)} {
		is(t, g.RequestErasure(t.Context(), g.who["police"], []byte(id), registry.ErasureAsked), gateway.Conflict)
	}
	_, err := g.registry.ProposeErasure(t.Context(), registry.ErasureRequest{
		Child: []byte("sealed"), Epoch: 1, By: g.who["police"], Reason: registry.ErasureAsked,
	})
	is(t, err, gateway.Conflict)
	for _, leaf := range g.leaves(t, from) {
		if strings.HasPrefix(leaf.Object, "erasure/") {
			t.Errorf("a request that was refused left %s", leaf.Event)
		}
	}
	ok(t, g.RequestErasure(t.Context(), g.who["health"], []byte(unheard), registry.ErasureAsked))
	_, err = g.RejectProposal(t.Context(), g.who["steward"], last.ID, "not lawful")
	ok(t, err)
	ok(t, g.RequestErasure(t.Context(), g.who["police"], []byte(unheard), registry.ErasureAsked))
}

// A request that was made under a key survives a rotation; the key is not destroyed
// before it is signed or rejected.
func TestErasureAcrossRotation(t *testing.T) {
	g, _ := rotatable(t)
	id := child(t)
	g.send(t, "police", "k1", files(t)["police"])
	children := len(g.pids(t))
	p := g.request(t, id)
	g.rotate(t)
	destruction := g.signed(t, registry.DestroyKey, 1)
	is(t, g.DestroyEpoch(t.Context(), g.who["operator"], 1, destruction), gateway.Conflict)
	g.signErasure(t, p)
	g.clean(t)
	if n := len(g.pids(t)); n != children-1 {
		t.Fatalf("%d of %d children are left", n, children)
	}
	ok(t, g.DestroyEpoch(t.Context(), g.who["operator"], 1, destruction))
}

// Who may not ask is not told that there is such a thing; what is no identifier and no
// reason is refused without repeating it; one person, or the signature for another
// namespace, erases nothing.
func TestErasureRefused(t *testing.T) {
	g := newExchange(t)
	id := child(t)
	g.send(t, "police", "k1", files(t)["police"])
	ask := func(who, id string, why registry.ErasureReason) error {
		return g.RequestErasure(t.Context(), g.who[who], []byte(id), why)
	}
	for _, who := range []string{"officer", "operator", "steward", "researcher"} {
		is(t, ask(who, id, registry.ErasureAsked), gateway.NotFound)
	}
	wrong := id[:11] + string('0'+(id[11]-'0'+1)%10)
	err := ask("police", wrong, registry.ErasureAsked)
	is(t, err, gateway.Invalid)
	if strings.Contains(err.Error(), wrong) {
		t.Error("the refusal repeats the identifier")
	}
	is(t, ask("police", id, "because of "+registry.ErasureReason(id)), gateway.Invalid)
	p := g.request(t, id)
	sign := func(ns approval.Namespace, who string) error {
		_, err := g.ApproveProposal(t.Context(), g.who[who], p.ID, g.people.Sign(t, ns, who+"/"+who, p.Statement), "read")
		return err
	}
	is(t, sign(approval.Keys, "officer"), gateway.Forbidden)
	ok(t, sign(approval.Erasure, "officer"))
	is(t, sign(approval.Erasure, "officer"), gateway.Conflict)
	children := len(g.pids(t))
	g.clean(t)
	if len(g.pids(t)) != children {
		t.Error("one person erased a child")
	}
	_, err = g.ProposalBundle(t.Context(), g.who["officer"], p.ID)
	is(t, err, gateway.NotFound)
	_, err = g.RejectProposal(t.Context(), g.who["steward"], p.ID, "not lawful")
	ok(t, err)
	g.clean(t)
	stored, err := g.registry.Proposal(t.Context(), p.ID)
	ok(t, err)
	if len(stored.Content) != 0 {
		t.Error("the sealed child of a rejected request is kept")
	}
}

// After an erasure nothing but a yearly revision is built over quarters that were
// public, whether the child was known or not; a release that was built before is not
// approved any more (disclosure.md 2.8).
func TestErasureWaitsForTheRevision(t *testing.T) {
	g := populated(t)
	before := g.build(t)
	g.signErasure(t, g.request(t, unheard))
	g.clean(t)
	_, err := g.Approve(t.Context(), g.who["officer"], before.ID, before.Page, "read")
	is(t, err, gateway.Conflict)
	g.approve(t, g.build(t))
	// The next one of the same lineage would be told from it by the next erasure alone.
	g.signErasure(t, g.request(t, unheard))
	g.clean(t)
	_, err = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small"})
	is(t, err, gateway.Conflict)
	if !strings.Contains(err.Error(), "erased since") {
		t.Error("the build is refused for another reason:", err)
	}
}
