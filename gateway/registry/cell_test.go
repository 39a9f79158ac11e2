package registry

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

var (
	colleague = gateway.Caller{Key: "k-colleague", Subject: "o2", Org: "ministry", Role: gateway.RoleOfficer}
	third     = gateway.Caller{Key: "k-third", Subject: "o3", Org: "other", Role: gateway.RoleOfficer}
)

const girls = "region=61|sex=F"

// cells is what the ledger says of views.
func (r *Registry) cells(t *testing.T) []string {
	t.Helper()
	var story []string
	for leaf, err := range r.Leaves(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(leaf.Event), "cell.") {
			story = append(story, string(leaf.Event)+" "+leaf.Actor+" "+leaf.Object)
		}
	}
	return story
}

// One officer asks, another confirms; nobody does both, whatever key they hold.
func TestCellTakesTwo(t *testing.T) {
	r, _ := start(t)
	id := r.build(t)
	_, err := r.ConfirmCell(t.Context(), id, girls, officer, "why not")
	wantKind(t, err, gateway.NotFound)
	v, err := r.AskCell(t.Context(), id, girls, officer, "a complaint")
	if err != nil || v.Confirmed() || v.Until.Sub(v.Asked) != 24*time.Hour {
		t.Fatal(v, err)
	}
	wantKind(t, r.ReadCell(t.Context(), v, officer), gateway.Withheld)
	self := officer
	self.Key = "k-officer-2"
	for _, me := range []gateway.Caller{officer, self} {
		_, err = r.ConfirmCell(t.Context(), id, girls, me, "it is me")
		wantKind(t, err, gateway.Forbidden)
	}
	again, err := r.AskCell(t.Context(), id, girls, self, "a complaint")
	if err != nil || again.ID != v.ID || again.Confirmed() {
		t.Fatal(again, err)
	}
	_, err = r.AskCell(t.Context(), id, girls, colleague, "me too")
	wantKind(t, err, gateway.Conflict)
	_, err = r.ConfirmCell(t.Context(), id, "region=61", colleague, "seen")
	wantKind(t, err, gateway.NotFound) // one cell a request
	v.Confirmer = colleague.Subject    // a caller's word is not enough
	wantKind(t, r.ReadCell(t.Context(), v, officer), gateway.Withheld)
	v, err = r.ConfirmCell(t.Context(), id, girls, colleague, "seen")
	if err != nil || !v.Confirmed() {
		t.Fatal(v, err)
	}
	for _, who := range []gateway.Caller{colleague, officer} {
		if err := r.ReadCell(t.Context(), v, who); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, r.ReadCell(t.Context(), v, third), gateway.Withheld)
	_, err = r.ConfirmCell(t.Context(), id, girls, third, "late")
	wantKind(t, err, gateway.NotFound)
	want := []string{
		"cell.ask k-officer demo-1/cell/1", "cell.confirm k-colleague demo-1/cell/1",
		"cell.read k-colleague demo-1/cell/1", "cell.read k-officer demo-1/cell/1",
	}
	if got := r.cells(t); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("the ledger says\n%s", strings.Join(got, "\n"))
	}
}

// An officer waits for one cell at a time, and no longer than a day.
func TestCellsOneAtATime(t *testing.T) {
	r, c := start(t)
	id := r.build(t)
	if _, err := r.AskCell(t.Context(), id, girls, officer, "a complaint"); err != nil {
		t.Fatal(err)
	}
	_, err := r.AskCell(t.Context(), id, "region=11", officer, "another")
	wantKind(t, err, gateway.Conflict)
	if _, err := r.AskCell(t.Context(), id, "region=11", colleague, "mine"); err != nil {
		t.Fatal(err)
	}
	c.add(24 * time.Hour)
	_, err = r.ConfirmCell(t.Context(), id, girls, colleague, "too late")
	wantKind(t, err, gateway.NotFound)
	if _, err := r.AskCell(t.Context(), id, "region=11", officer, "another"); err != nil {
		t.Fatal(err)
	}
	v, err := r.ConfirmCell(t.Context(), id, "region=11", third, "fine")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.AskCell(t.Context(), id, girls, officer, "answered, so the next"); err != nil {
		t.Fatal(err)
	}
	c.add(24 * time.Hour)
	wantKind(t, r.ReadCell(t.Context(), v, officer), gateway.Withheld)
}

// Five views of a release are confirmed within 24 hours, whoever asks and confirms;
// another release has its own five.
func TestFewCellsADay(t *testing.T) {
	r, c := start(t)
	id, other := r.build(t), r.build(t)
	who := []gateway.Caller{officer, colleague, third}
	ask := func(i int, id gateway.ReleaseID) error {
		cell := fmt.Sprintf("region=%d", i)
		if _, err := r.AskCell(t.Context(), id, cell, who[i%3], "a complaint"); err != nil {
			t.Fatal(err)
		}
		_, err := r.ConfirmCell(t.Context(), id, cell, who[(i+1)%3], "seen")
		return err
	}
	for i := range MaxCellViews {
		if err := ask(i, id); err != nil {
			t.Fatal(err)
		}
		c.add(time.Hour)
	}
	refused(t, ask(MaxCellViews, id), "5 views of cells of demo-1")
	if err := ask(MaxCellViews+1, other); err != nil {
		t.Fatal(err)
	}
	c.add((24-MaxCellViews)*time.Hour - time.Second)
	cell := fmt.Sprintf("region=%d", MaxCellViews)
	_, err := r.ConfirmCell(t.Context(), id, cell, who[0], "seen")
	refused(t, err, "within 24 hours")
	c.add(time.Second) // the first is a day old
	if _, err := r.ConfirmCell(t.Context(), id, cell, who[0], "seen"); err != nil {
		t.Fatal(err)
	}
}

func TestCellsNeedARoleAndAReason(t *testing.T) {
	r, _ := start(t)
	id := r.build(t)
	for _, ask := range []func(gateway.Caller, string) error{
		func(who gateway.Caller, why string) error {
			_, err := r.AskCell(t.Context(), id, girls, who, why)
			return err
		},
		func(who gateway.Caller, why string) error {
			_, err := r.ConfirmCell(t.Context(), id, girls, who, why)
			return err
		},
	} {
		wantKind(t, ask(steward, "curious"), gateway.Forbidden)
		wantKind(t, ask(officer, " "), gateway.Invalid)
		wantKind(t, ask(officer, strings.Repeat("x", 2001)), gateway.Invalid)
	}
	if got := r.cells(t); got != nil {
		t.Fatalf("the ledger says %v", got)
	}
}

// The page is stored as it is; the reasons are sealed and open for their release only.
func TestPageAndReasons(t *testing.T) {
	r, _ := start(t)
	id := r.build(t)
	got, err := r.ReleasePage(t.Context(), id)
	if err != nil || !bytes.Equal(got, finished.Page) {
		t.Fatalf("%s, %v", got, err)
	}
	rel, err := r.Release(t.Context(), id)
	if err != nil || rel.Page != page || rel.Digest != digest {
		t.Fatal(rel, err)
	}
	why, err := r.ReleaseReasons(t.Context(), id)
	if err != nil || !bytes.Equal(why, finished.Reasons) {
		t.Fatalf("%s, %v", why, err)
	}
	var sealed []byte
	if err := r.read.QueryRowContext(t.Context(), `SELECT reasons FROM release_page`).Scan(&sealed); err != nil || bytes.Contains(sealed, finished.Reasons) {
		t.Fatal("the reasons lie open", err)
	}
	second := r.build(t)
	if _, err := r.write.ExecContext(t.Context(), `UPDATE release_page SET reasons = ? WHERE release = ?`, sealed, second); err != nil {
		t.Fatal(err)
	}
	_, err = r.ReleaseReasons(t.Context(), second)
	wantKind(t, err, gateway.Internal)
	_, err = r.ReleasePage(t.Context(), "demo-9")
	wantKind(t, err, gateway.NotFound)
	_, err = r.ReleaseReasons(t.Context(), "demo-9")
	wantKind(t, err, gateway.NotFound)
	unfinished, err := r.BeginRelease(t.Context(), r.next(t, "demo"))
	if err != nil {
		t.Fatal(err)
	}
	none := finished
	none.Page = nil
	wantKind(t, r.FinishRelease(t.Context(), unfinished.ID, none), gateway.Internal)
	if err := r.FailRelease(t.Context(), unfinished.ID, ledger.Failed, nil); err != nil {
		t.Fatal(err)
	}
}
