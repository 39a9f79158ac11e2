package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

var (
	steward = gateway.Caller{Key: "k-steward", Subject: "s1", Org: "ministry", Role: gateway.RoleSteward}
	officer = gateway.Caller{Key: "k-officer", Subject: "o1", Org: "ministry", Role: gateway.RoleOfficer}
	digest  = strings.Repeat("ab", 32)

	finished = Finished{Digest: digest, Definition: []byte(`{"pinned":true}`), Page: []byte(`{"a":"page"}`), Reasons: []byte("why")}
	page     = digestOf(finished.Page)
)

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// next is a build that follows the last public release.
func (r *Registry) next(t *testing.T, lineage string) Build {
	t.Helper()
	public, err := r.PublicReleases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := Build{Lineage: lineage, Snapshot: 3, Definition: []byte(`{}`), Steward: steward}
	if len(public) > 0 {
		b.After = public[len(public)-1].ID
	}
	return b
}

func (r *Registry) build(t *testing.T) gateway.ReleaseID {
	t.Helper()
	rel, err := r.BeginRelease(t.Context(), r.next(t, "demo"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.FinishRelease(t.Context(), rel.ID, finished); err != nil {
		t.Fatal(err)
	}
	return rel.ID
}

func (r *Registry) wantState(t *testing.T, id gateway.ReleaseID, state gateway.ReleaseState) {
	t.Helper()
	rel, err := r.Release(t.Context(), id)
	if err != nil || rel.State != state {
		t.Fatalf("release %s is %s, %v; want %s", id, rel.State, err, state)
	}
}

func TestReleases(t *testing.T) {
	r, _ := start(t)
	rel, err := r.BeginRelease(t.Context(), Build{Lineage: "demo", Snapshot: 3, Steward: steward})
	if err != nil || rel.ID != "demo-1" || rel.Number != 1 {
		t.Fatal(rel, err)
	}
	_, err = r.BeginRelease(t.Context(), Build{Lineage: "demo", Steward: steward})
	wantKind(t, err, gateway.Conflict)
	wantKind(t, r.ApproveRelease(t.Context(), rel.ID, page, officer, ""), gateway.Conflict)
	wantKind(t, r.WithdrawRelease(t.Context(), rel.ID, steward, ""), gateway.Conflict)
	if err := r.FailRelease(t.Context(), rel.ID, ledger.Refused, nil); err != nil {
		t.Fatal(err)
	}
	r.wantState(t, "demo-1", gateway.ReleaseFailed)
	wantKind(t, r.FinishRelease(t.Context(), rel.ID, finished), gateway.Conflict)

	second := r.build(t)
	for _, other := range []string{strings.Repeat("cd", 32), digest, ""} {
		wantKind(t, r.ApproveRelease(t.Context(), second, other, officer, ""), gateway.Mismatch)
	}
	wantKind(t, r.ApproveRelease(t.Context(), second, page, steward, ""), gateway.Forbidden)
	self := officer
	self.Subject = steward.Subject
	wantKind(t, r.ApproveRelease(t.Context(), second, page, self, ""), gateway.Forbidden)
	wantKind(t, r.ApproveRelease(t.Context(), second, page, officer, strings.Repeat("x", 2001)), gateway.Invalid)
	for range 2 {
		if err := r.ApproveRelease(t.Context(), second, page, officer, "risk is low"); err != nil {
			t.Fatal(err)
		}
	}
	third, fourth := r.build(t), r.build(t)
	if err := r.ApproveRelease(t.Context(), fourth, page, officer, ""); err != nil {
		t.Fatal(err)
	}
	r.wantState(t, second, gateway.ReleaseSuperseded)
	wantKind(t, r.ApproveRelease(t.Context(), third, page, officer, ""), gateway.Conflict)
	for range 2 {
		if err := r.WithdrawRelease(t.Context(), fourth, officer, "a mistake"); err != nil {
			t.Fatal(err)
		}
	}
	r.wantState(t, fourth, gateway.ReleaseWithdrawn)
	wantKind(t, r.ApproveRelease(t.Context(), fourth, page, officer, ""), gateway.Conflict)
	wantKind(t, r.ApproveRelease(t.Context(), "demo-9", page, officer, ""), gateway.NotFound)
	all, err := r.Releases(t.Context())
	if err != nil || len(all) != 4 || all[0].ID != fourth || string(all[0].Definition) != `{"pinned":true}` {
		t.Fatal(all, err)
	}
	_, err = r.BeginRelease(t.Context(), Build{Lineage: "a-b", Steward: steward})
	wantKind(t, err, gateway.Invalid)
}

// A build that a crash interrupted is failed at the next start, and the lineage is
// free again.
func TestLeftoverBuild(t *testing.T) {
	c := newClock()
	opt := c.options(t)
	r := mustOpen(t, opt)
	if _, err := r.BeginRelease(t.Context(), Build{Lineage: "demo", Steward: steward}); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = mustOpen(t, opt)
	r.wantState(t, "demo-1", gateway.ReleaseFailed)
	if id := r.build(t); id != "demo-2" {
		t.Fatal(id)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}
