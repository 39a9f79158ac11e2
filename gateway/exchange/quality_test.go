package exchange_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// linkedIn counts, from the text of a file alone, how its records point to children.
func linkedIn(t *testing.T, file []byte) (l gateway.Linkage, children int) {
	t.Helper()
	lines, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	ok(t, err)
	iin := slices.Index(lines[0], "child_iin")
	seen := map[string]bool{}
	for _, line := range lines[1:] {
		if line[iin] == "" {
			l.Unlinkable++
			continue
		}
		l.Identified++
		seen[line[iin]] = true
	}
	return l, len(seen)
}

// What a release says of linkage is what the files hold, in bands, of agencies with
// enough children; its tables say the same.
func TestQuality(t *testing.T) {
	g := newExchange(t)
	_, many, err := country(synth.Options{Children: 1500, Seed: 5})
	ok(t, err)
	_, few, err := country(synth.Options{Children: 100, Seed: 6})
	ok(t, err)
	files := map[gateway.ContractID][]byte{"police": many["police"], "helpline": many["helpline"], "health": few["health"]}
	truth, children := map[gateway.ContractID]gateway.Linkage{}, map[gateway.ContractID]int{}
	for id, file := range files {
		receipt := gateway.Receipt{}
		ok(t, json.Unmarshal(g.send(t, id, "k-"+string(id), file).Receipt, &receipt))
		truth[id], children[id] = linkedIn(t, file)
		got := *receipt.Report.Linkage
		got.Disagreeing = 0 // is the rule's own to know: see package pipelines
		if got != truth[id] {
			t.Errorf("%s: the receipt says %+v, the file %+v", id, got, truth[id])
		}
	}
	if children["police"] < gateway.QualityChildren || children["helpline"] < gateway.QualityChildren || children["health"] >= gateway.QualityChildren {
		t.Fatalf("the test needs other numbers of children than %v", children)
	}
	r := g.build(t)
	g.approve(t, r)
	catalogue, err := g.Release(t.Context(), g.who["researcher"], r.ID)
	ok(t, err)
	q := catalogue.Pinned.Quality
	if q == nil || len(q.Agencies) != 6 || len(q.Sectors) != 6 || len(q.Places) != 6*len(regions(t)) {
		t.Fatalf("quality: %+v", q)
	}
	for _, a := range q.Agencies {
		want := gateway.ReportedNone
		if files[a.Contract] != nil {
			want = gateway.ReportedAll
		}
		if a.Reported != want {
			t.Errorf("%s has reported %q, want %q", a.Agency, a.Reported, want)
		}
		linkable := gateway.ShareBand("")
		if a.Contract == "police" || a.Contract == "helpline" {
			linkable = gateway.ShareBandOf(truth[a.Contract].Linkable(), truth[a.Contract].Records())
		}
		if a.Linkage.Linkable != linkable {
			t.Errorf("%s: linkable %q, want %q", a.Agency, a.Linkage.Linkable, linkable)
		}
	}
	for _, p := range q.Places {
		if want := files[p.Contract] != nil; (p.Through == catalogue.Pinned.Definition.To) != want || (p.Reported == gateway.ReportedAll) != want {
			t.Errorf("%+v", p)
		}
	}
	var table gateway.Table
	ok(t, json.Unmarshal(g.answer(t, r.ID), &table))
	want := map[gateway.ContractID]gateway.ShareBand{
		"police":   gateway.ShareBandOf(truth["police"].Linkable(), truth["police"].Records()),
		"helpline": gateway.ShareBandOf(truth["helpline"].Linkable(), truth["helpline"].Records()),
	}
	if diff := cmp.Diff(want, table.Linkable); diff != "" {
		t.Errorf("the table's linkable shares: %s", diff)
	}
}
