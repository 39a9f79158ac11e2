package registry

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// signatories are the keys of the people of the tests, by principal.
func signatories(tb testing.TB, principals ...string) (map[string]ssh.Signer, *approval.Signers) {
	tb.Helper()
	keys, text := map[string]ssh.Signer{}, ""
	for i, principal := range principals {
		key, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize)))
		if err != nil {
			tb.Fatal(err)
		}
		keys[principal] = key
		text += fmt.Sprintf("%s namespaces=\"pana-policy,pana-keys\" %s %s\n", principal, key.PublicKey().Type(),
			base64.StdEncoding.EncodeToString(key.PublicKey().Marshal()))
	}
	s, err := approval.ParseSigners([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return keys, s
}

// A council is a founded registry and those who may sign there.
type council struct {
	*Registry
	tb    testing.TB
	opt   Options
	clock *clock
	keys  map[string]ssh.Signer
	first gateway.Revision
}

func revision(n int) gateway.Revision { return gateway.Revision(fmt.Sprintf("%064x", n)) }

func newCouncil(tb testing.TB) *council {
	tb.Helper()
	c := &council{tb: tb, clock: newClock(), first: revision(1)}
	c.opt = c.clock.options(tb)
	c.Registry = mustOpen(tb, c.opt)
	var roster *approval.Signers
	c.keys, roster = signatories(tb, "officer/aigul", "officer/bolat", "steward/saule", "operator/oraz")
	f := Founding{Signers: roster, Revision: c.first, Content: []byte("first"), Effects: []byte("all of it")}
	statement, err := f.Statement(c.opt.Signer.Name())
	if err != nil {
		tb.Fatal(err)
	}
	err = c.Found(tb.Context(), f, "install", c.sign("officer/aigul", statement), c.sign("steward/saule", statement))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func (c *council) sign(principal string, statement []byte) []byte {
	c.tb.Helper()
	return c.signFor(approval.Policy, principal, statement)
}

func (c *council) signFor(ns approval.Namespace, principal string, statement []byte) []byte {
	c.tb.Helper()
	armored, err := approval.Sign(nil, ns, statement, c.keys[principal])
	if err != nil {
		c.tb.Fatal(err)
	}
	return armored
}

func caller(principal string) gateway.Caller {
	role, person, _ := strings.Cut(principal, "/")
	return gateway.Caller{Key: "k-" + person, Subject: person, Role: gateway.Role(role)}
}

// approve brings a person's signature of what the proposal says.
func (c *council) approve(p Proposal, principal string) (Proposal, error) {
	c.tb.Helper()
	return c.Approve(c.tb.Context(), p.ID, c.sign(principal, p.Statement), caller(principal), "read")
}

func (c *council) propose(base, next gateway.Revision) Proposal {
	c.tb.Helper()
	p, err := c.Propose(c.tb.Context(), c.draft(base, next))
	if err != nil {
		c.tb.Fatal(err)
	}
	return p
}

func (c *council) draft(base, next gateway.Revision) Draft {
	return Draft{
		Kind: PolicyChange, Object: string(next), Digest: string(next), Base: string(base), Effects: []byte("effects of " + next),
		Content: []byte("content of " + next), By: caller("operator/oraz"), Reason: "because",
	}
}

// inForce is the revision in force, checked in full.
func (c *council) inForce() gateway.Revision {
	c.tb.Helper()
	p, err := c.PolicyInForce(c.tb.Context())
	if err != nil {
		c.tb.Fatal(err)
	}
	return p.Revision
}

// leaves are the events of a proposal, each with its outcome.
func (c *council) leaves(p Proposal) string {
	c.tb.Helper()
	var story []string
	for l, err := range c.Leaves(c.tb.Context(), 0) {
		if err != nil {
			c.tb.Fatal(err)
		}
		if l.Object == p.object() {
			story = append(story, string(l.Event)+" "+string(l.Outcome))
		}
	}
	return strings.Join(story, ", ")
}

func TestTwoPeopleWithTwoRolesPutAPolicyInForce(t *testing.T) {
	c := newCouncil(t)
	p := c.propose(c.first, revision(2))
	if p.Missing() != "two signatures, of two people with two different roles; the signature of an officer" {
		t.Errorf("missing: %s", p.Missing())
	}
	for _, step := range []struct {
		who     string
		state   ProposalState
		missing string
	}{
		{"officer/aigul", Proposed, "a signature of another person, in another role than officer"},
		{"officer/bolat", Proposed, "a signature in another role than officer"},
		{"operator/oraz", Active, ""},
	} {
		if c.inForce() != c.first {
			t.Fatalf("before %s signed, %s is in force", step.who, c.inForce())
		}
		after, err := c.approve(p, step.who)
		if err != nil || after.State != step.state || after.Missing() != step.missing {
			t.Fatalf("after %s: %v %s, missing %q", step.who, err, after.State, after.Missing())
		}
	}
	in, err := c.PolicyInForce(t.Context())
	if err != nil || in.Revision != revision(2) || in.Number != 2 || string(in.Content) != "content of "+string(revision(2)) {
		t.Errorf("in force: %+v, %v", in, err)
	}
	if got := c.leaves(p); got != "policy.propose done, policy.approve done, policy.approve done, policy.approve done, policy.activate done" {
		t.Error(got)
	}
	// And back again, by the same rule.
	back := c.propose(revision(2), c.first)
	for _, who := range []string{"steward/saule", "officer/bolat"} {
		if _, err := c.approve(back, who); err != nil {
			t.Fatal(err)
		}
	}
	if c.inForce() != c.first {
		t.Errorf("%s is in force after the rollback", c.inForce())
	}
}

// trust.md 6.4, B77: what does not count changes nothing, and the old policy stays.
func TestNothingElsePutsAPolicyInForce(t *testing.T) {
	c := newCouncil(t)
	p, other := c.propose(c.first, revision(2)), c.propose(c.first, revision(3))
	if _, err := c.approve(p, "officer/aigul"); err != nil {
		t.Fatal(err)
	}
	strangers, _ := signatories(t, "officer/a", "officer/b", "officer/c", "officer/d", "steward/saule")
	strange, err := approval.Sign(nil, approval.Policy, p.Statement, strangers["steward/saule"])
	if err != nil {
		t.Fatal(err)
	}
	for name, step := range map[string]struct {
		armored []byte
		by      string
		want    gateway.Kind
	}{
		"none":                        {nil, "steward/saule", gateway.Invalid},
		"the same signer":             {c.sign("officer/aigul", p.Statement), "officer/aigul", gateway.Conflict},
		"another digest":              {c.sign("steward/saule", other.Statement), "steward/saule", gateway.Forbidden},
		"another namespace":           {c.signFor(approval.Keys, "steward/saule", p.Statement), "steward/saule", gateway.Forbidden},
		"a stranger":                  {strange, "steward/saule", gateway.Forbidden},
		"somebody else's, of a role":  {c.sign("steward/saule", p.Statement), "operator/oraz", gateway.Forbidden},
		"a signature of the revision": {c.sign("steward/saule", []byte(p.Digest)), "steward/saule", gateway.Forbidden},
	} {
		_, err := c.Approve(t.Context(), p.ID, step.armored, caller(step.by), "read")
		if !errors.Is(err, step.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Approve(t.Context(), p.ID, c.sign("steward/saule", p.Statement), caller("steward/saule"), " "); !errors.Is(err, gateway.Invalid) {
		t.Errorf("without a reason: %v", err)
	}
	if c.inForce() != c.first {
		t.Fatal("a policy is in force that nobody approved")
	}
	c.clock.add(proposalLife)
	if _, err := c.approve(p, "steward/saule"); !errors.Is(err, gateway.Conflict) {
		t.Errorf("expired: %v", err)
	}
	if got, _ := c.Proposal(t.Context(), p.ID); got.State != Expired || c.inForce() != c.first {
		t.Errorf("the expired proposal is %s", got.State)
	}
	if got := c.leaves(p); !strings.HasSuffix(got, "policy.reject expired") || strings.Count(got, "policy.approve denied") != 7 {
		t.Error(got)
	}
}

// An approval is for the effects that were read: when another policy takes effect
// first, they are others.
func TestApprovalDiesWithItsBase(t *testing.T) {
	c := newCouncil(t)
	p, other := c.propose(c.first, revision(2)), c.propose(c.first, revision(3))
	for _, step := range []struct {
		p   Proposal
		who string
	}{{p, "officer/aigul"}, {other, "officer/aigul"}, {other, "steward/saule"}} {
		if _, err := c.approve(step.p, step.who); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.approve(p, "steward/saule"); !errors.Is(err, gateway.Conflict) {
		t.Errorf("after its base moved: %v", err)
	}
	if got, _ := c.Proposal(t.Context(), p.ID); got.State != Superseded || c.inForce() != revision(3) {
		t.Errorf("the proposal is %s, in force %s", got.State, c.inForce())
	}
	if _, err := c.Propose(t.Context(), c.draft(c.first, revision(4))); !errors.Is(err, gateway.Conflict) {
		t.Errorf("proposed over a base that is not in force: %v", err)
	}
}

func TestRejectedStaysRejected(t *testing.T) {
	c := newCouncil(t)
	p := c.propose(c.first, revision(2))
	if _, err := c.approve(p, "officer/aigul"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Propose(t.Context(), c.draft(c.first, revision(2))); !errors.Is(err, gateway.Conflict) {
		t.Errorf("proposed twice: %v", err)
	}
	if _, err := c.Reject(t.Context(), p.ID, caller("officer/bolat"), "too weak"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.approve(p, "steward/saule"); !errors.Is(err, gateway.Conflict) {
		t.Errorf("approved after it was rejected: %v", err)
	}
	again := c.propose(c.first, revision(2))
	if _, err := c.Approve(t.Context(), again.ID, c.sign("officer/aigul", p.Statement), caller("officer/aigul"), "read"); !errors.Is(err, gateway.Forbidden) {
		t.Errorf("a signature of the rejected proposal counts for the next: %v", err)
	}
}

// Who may sign is changed by those who may sign.
func TestSignersChange(t *testing.T) {
	c := newCouncil(t)
	open := c.propose(c.first, revision(2))
	old, err := c.Signers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keys, next := signatories(t, "officer/aigul", "officer/dana", "steward/saule")
	draft := Draft{
		Kind: SignersChange, Object: next.Digest(), Digest: next.Digest(), Base: old.Digest(), Effects: []byte("dana for bolat and oraz"),
		Content: next.Text(), By: caller("officer/aigul"), Reason: "new colleague",
	}
	alone, _ := approval.ParseSigners([]byte(strings.SplitAfter(string(next.Text()), "\n")[0]))
	locked := draft
	locked.Object, locked.Digest, locked.Content = alone.Digest(), alone.Digest(), alone.Text()
	if _, err := c.Propose(t.Context(), locked); !errors.Is(err, gateway.Invalid) {
		t.Errorf("a file in which nobody could sign the next: %v", err)
	}
	p, err := c.Propose(t.Context(), draft)
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"operator/oraz", "officer/bolat"} {
		if p, err = c.approve(p, who); err != nil {
			t.Fatal(err)
		}
	}
	now, err := c.Signers(t.Context())
	if err != nil || now.Digest() != next.Digest() {
		t.Fatalf("in force: %v, %v", now, err)
	}
	if got, _ := c.Proposal(t.Context(), open.ID); got.State != Superseded {
		t.Errorf("a proposal made under other signers is %s", got.State)
	}
	p = c.propose(c.first, revision(3))
	if _, err := c.approve(p, "operator/oraz"); !errors.Is(err, gateway.Forbidden) {
		t.Errorf("somebody who may not sign any more: %v", err)
	}
	c.keys = keys
	for _, who := range []string{"officer/dana", "steward/saule"} {
		if _, err := c.approve(p, who); err != nil {
			t.Fatal(err)
		}
	}
	if c.inForce() != revision(3) {
		t.Error("what the new signers signed is not in force")
	}
}

func TestFoundingNeedsTwo(t *testing.T) {
	clock := newClock()
	r := mustOpen(t, clock.options(t))
	keys, roster := signatories(t, "officer/a", "officer/b", "steward/s", "operator/o")
	f := Founding{Signers: roster, Revision: revision(1), Content: []byte("c"), Effects: []byte("e")}
	statement, err := f.Statement(r.opt.Signer.Name())
	if err != nil {
		t.Fatal(err)
	}
	sign := func(who string, what []byte) []byte {
		armored, err := approval.Sign(nil, approval.Policy, what, keys[who])
		if err != nil {
			t.Fatal(err)
		}
		return armored
	}
	elsewhere, _ := f.Statement("pana/elsewhere")
	for name, signatures := range map[string][][]byte{
		"none":                 nil,
		"one":                  {sign("officer/a", statement)},
		"one twice":            {sign("officer/a", statement), sign("officer/a", statement)},
		"two of one role":      {sign("officer/a", statement), sign("officer/b", statement)},
		"no officer":           {sign("operator/o", statement), sign("steward/s", statement)},
		"another installation": {sign("officer/a", elsewhere), sign("steward/s", elsewhere)},
	} {
		if err := r.Found(t.Context(), f, "install", signatures...); !errors.Is(err, gateway.Forbidden) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := r.PolicyInForce(t.Context()); !Unfounded(err) {
			t.Fatalf("%s: %v", name, err)
		}
	}
	_, expired := signatories(t, "officer/a", "steward/s")
	text := strings.ReplaceAll(string(expired.Text()), `keys"`, `keys",valid-before="20260101Z"`)
	past, err := approval.ParseSigners([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := Enough(past, clock.now()); !errors.Is(err, gateway.Invalid) {
		t.Errorf("signers of the past: %v", err)
	}
	good := [][]byte{sign("officer/a", statement), sign("operator/o", statement)}
	if err := r.Found(t.Context(), f, "install", good...); err != nil {
		t.Fatal(err)
	}
	if err := r.Found(t.Context(), f, "install", good...); !errors.Is(err, gateway.Conflict) {
		t.Errorf("founded twice: %v", err)
	}
}

// trust.md 6.4, B77, at the start: whoever writes the file past this program puts
// nothing in force, and is found out.
func TestNothingUnsignedLoads(t *testing.T) {
	for name, attack := range map[string]string{
		"no signature":              `DELETE FROM approval WHERE proposal = :p`,
		"one signature":             `DELETE FROM approval WHERE proposal = :p AND role = 'officer'`,
		"a signature of another":    `UPDATE approval SET signature = (SELECT signature FROM approval WHERE proposal = 'founding' AND role = 'officer') WHERE proposal = :p AND role = 'officer'`,
		"another signer's name":     `UPDATE approval SET person = 'bolat' WHERE proposal = :p AND person = 'aigul'`,
		"signed at another time":    `UPDATE approval SET at = at + 86400000 * 30 WHERE proposal = :p`,
		"another digest":            `UPDATE proposal SET digest = printf('%064x', 9) WHERE id = :p; UPDATE inforce SET digest = printf('%064x', 9) WHERE proposal = :p`,
		"another base":              `UPDATE proposal SET base = printf('%064x', 9) WHERE id = :p`,
		"other effects":             `UPDATE proposal SET effects = x'00' WHERE id = :p`,
		"another statement":         `UPDATE proposal SET statement = CAST(replace(CAST(statement AS TEXT), '"v":1', '"v":2') AS BLOB) WHERE id = :p`,
		"a rejected one":            `UPDATE proposal SET state = 'rejected' WHERE id = :p`,
		"an older one, by deletion": `DELETE FROM inforce WHERE proposal = :p`,
		"an older one, at the end":  `INSERT INTO inforce SELECT kind, 3, digest, proposal, seq FROM inforce WHERE kind = 'policy' AND number = 1`,
		"an unsigned proposal":      `INSERT INTO inforce SELECT 'policy', 3, digest, id, seq FROM proposal WHERE state = 'proposed'`,
		"another leaf":              `UPDATE inforce SET seq = seq - 1 WHERE proposal = :p`,
		"other evidence":            `UPDATE detail SET body = CAST(replace(CAST(body AS TEXT), 'officer', 'steward') AS BLOB) WHERE seq = (SELECT seq FROM inforce WHERE proposal = :p)`,
		"other signers":             `UPDATE signers SET text = CAST(replace(CAST(text AS TEXT), 'aigul', 'aigel') AS BLOB)`,
		"no signers":                `DELETE FROM inforce WHERE kind = 'signers'`,
		"nothing at all":            `DELETE FROM inforce; DELETE FROM approval; DELETE FROM proposal; DELETE FROM signers`,
	} {
		t.Run(name, func(t *testing.T) {
			c := newCouncil(t)
			p := c.propose(c.first, revision(2))
			for _, who := range []string{"officer/aigul", "steward/saule"} {
				if _, err := c.approve(p, who); err != nil {
					t.Fatal(err)
				}
			}
			c.propose(revision(2), revision(3))
			if c.inForce() != revision(2) {
				t.Fatal("the test begins with another policy")
			}
			conn, err := c.write.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = conn.ExecContext(t.Context(), "PRAGMA foreign_keys = 0; "+strings.ReplaceAll(attack, ":p", "'"+p.ID+"'"))
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
			got, err := c.PolicyInForce(t.Context())
			if err == nil || got.Content != nil || !errors.Is(err, ErrEvidence) {
				t.Errorf("loads %s: %v", got.Revision, err)
			}
			if _, roster := signatories(t, "officer/x", "steward/y"); name == "nothing at all" {
				f := Founding{Signers: roster, Revision: revision(9), Content: []byte("c"), Effects: []byte("e")}
				if err := c.Found(t.Context(), f, "install"); !errors.Is(err, ErrEvidence) {
					t.Errorf("founded anew: %v", err)
				}
			}
		})
	}
}

// What is carried out later is carried out once, when two have signed it, and only
// while it would change what they read.
func TestEnact(t *testing.T) {
	enact := func(c *council, id string) error {
		return c.change(t.Context(), func(ctx context.Context, ch *change) error {
			_, err := ch.enact(ctx, PolicyChange, id)
			return err
		})
	}
	mark := func(c *council, id string) {
		if _, err := c.write.ExecContext(t.Context(), `UPDATE proposal SET state = 'approved' WHERE id = ?`, id); err != nil {
			t.Fatal(err)
		}
	}
	c := newCouncil(t)
	p := c.propose(c.first, revision(2))
	if err := enact(c, p.ID); !errors.Is(err, gateway.Conflict) {
		t.Errorf("unsigned: %v", err)
	}
	if _, err := c.approve(p, "officer/aigul"); err != nil {
		t.Fatal(err)
	}
	mark(c, p.ID)
	if err := enact(c, p.ID); !errors.Is(err, ErrEvidence) {
		t.Errorf("signed by one and marked approved: %v", err)
	}
	armored := c.sign("steward/saule", p.Statement)
	if _, err := c.write.ExecContext(t.Context(), `INSERT INTO approval VALUES (?, 'steward', 'saule', ?, 'k', 'r', ?)`,
		p.ID, armored, millis(c.clock.now())); err != nil {
		t.Fatal(err)
	}
	if err := enact(c, p.ID); err != nil {
		t.Errorf("signed by two: %v", err)
	}
	if err := enact(c, p.ID); !errors.Is(err, gateway.Conflict) {
		t.Errorf("twice: %v", err)
	}
	mark(c, p.ID)
	c.clock.add(proposalLife)
	if err := enact(c, p.ID); !errors.Is(err, gateway.Conflict) {
		t.Errorf("expired: %v", err)
	}
}

// The query that looks for later leaves reads those leaves only, not the whole log.
func TestLaterActivationsAreIndexed(t *testing.T) {
	c := newCouncil(t)
	plan, err := query(t.Context(), c.read, func(rows *sql.Rows) (string, error) {
		var id, parent, unused int
		var text string
		return text, rows.Scan(&id, &parent, &unused, &text)
	}, `EXPLAIN QUERY PLAN `+laterActivations, 0)
	if err != nil || len(plan) != 1 || !strings.Contains(plan[0], "leaf_inforce") {
		t.Errorf("%v %v", plan, err)
	}
}

func TestProposalsAreListed(t *testing.T) {
	c := newCouncil(t)
	c.clock.add(time.Second)
	p := c.propose(c.first, revision(2))
	list, err := c.Proposals(t.Context(), PolicyChange)
	if err != nil || len(list) != 2 || list[0].ID != p.ID || list[1].ID != foundingID || len(list[1].Approvals) != 2 {
		t.Fatalf("%v %v", list, err)
	}
	c.clock.add(proposalLife)
	if list, err = c.Proposals(t.Context(), PolicyChange); err != nil || list[0].State != Expired || list[1].State != Active {
		t.Errorf("later: %v %v", list[0].State, err)
	}
	if _, err := c.Proposal(t.Context(), "p0"); !errors.Is(err, gateway.NotFound) {
		t.Errorf("one that does not exist: %v", err)
	}
	if !ledger.SignersActivate.Valid() || !ledger.ProposalOpen.Valid() {
		t.Error("events are not in the list")
	}
}
