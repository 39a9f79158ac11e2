package risk

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

var update = flag.Bool("update", false, "write the golden page anew")

// demoPage is the page of a release of the demonstration, with fewer sets of columns
// and one contract too small to be told of.
func demoPage(t *testing.T) (*Page, string) {
	t.Helper()
	text, err := os.ReadFile("testdata/demo_page.json")
	if err != nil {
		t.Fatal(err)
	}
	var page Page // not by Parse: a page that gains a field stays readable here
	if err := json.Unmarshal(text, &page); err != nil {
		t.Fatal(err)
	}
	canonical, err := page.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return &page, Digest(canonical)
}

func TestGoldenPage(t *testing.T) {
	page, digest := demoPage(t)
	var got bytes.Buffer
	if err := page.WriteText(&got, strings.Repeat("0", len(digest))); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/demo_page.txt", got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/demo_page.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Error(diff)
	}
}

// The page is read on paper and in terminals; what is to be typed stands on lines of
// its own, with the digest in one piece.
func TestPageFits(t *testing.T) {
	page, digest := demoPage(t)
	bare := &Page{Release: "bare-1", K: 10}
	for _, p := range []*Page{page, bare} {
		var text bytes.Buffer
		if err := p.WriteText(&text, digest); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("%d columns: %s", n, line)
			}
		}
		if !strings.Contains(text.String(), "\n    --digest "+digest+" \\\n") {
			t.Error("the command to approve is not on lines of its own")
		}
	}
}

// Whatever changes on a page changes its digest, and white space does not.
func TestCanonicalPage(t *testing.T) {
	page, digest := demoPage(t)
	canonical, err := page.Canonical()
	if err != nil || Digest(canonical) != digest {
		t.Fatal("a page has two digests", err)
	}
	var spaced bytes.Buffer
	if err := json.Indent(&spaced, canonical, "  ", "\t"); err != nil {
		t.Fatal(err)
	}
	_, again, err := Parse(spaced.Bytes())
	if err != nil || !bytes.Equal(again, canonical) {
		t.Error("white space changes a page", err)
	}
	for name, change := range map[string]func(*Page){
		"the cells":   func(p *Page) { p.Cells = strings.Repeat("0", 64) },
		"a share":     func(p *Page) { p.Hidden.Sets[3].Hidden += 5 },
		"an attack":   func(p *Page) { p.Twin.Attacks[0].Held = !p.Twin.Attacks[0].Held },
		"the notice":  func(p *Page) { p.Notice += "." },
		"the release": func(p *Page) { p.Release = "demo-2" },
		"the rows":    func(p *Page) { p.Rows[0].Sets[0].Single += 5 },
		"the twin":    func(p *Page) { p.Twin = nil },
		"the clock":   func(p *Page) { p.Built = p.Built.Add(time.Second) },
	} {
		other, _ := demoPage(t)
		change(other)
		text, err := other.Canonical()
		if err != nil || Digest(text) == digest {
			t.Errorf("%s can change and the digest stays: %v", name, err)
		}
	}
}

// What a page would not say in words must not be approved with it.
func TestParseRefuses(t *testing.T) {
	page, _ := demoPage(t)
	canonical, err := page.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	good := string(canonical)
	for name, text := range map[string]string{
		"nothing":          "",
		"no page":          "[]",
		"more":             strings.Replace(good, "{", `{"also":1,`, 1),
		"more below":       strings.Replace(good, `"cells":1,`, `"cells":1,"value":4711,`, 1),
		"another form":     strings.Replace(good, `"v":1,`, `"v":2,`, 1),
		"twice":            strings.Replace(good, `"v":1,`, `"v":1,"v":1,`, 1),
		"two":              good + good,
		"another spelling": strings.Replace(good, `"k":10`, `"K":10`, 1),
	} {
		if text == good {
			t.Fatal(name, "changes nothing")
		}
		if _, _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("testdata/demo_page.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		page, canonical, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Canonical(page)
		if err != nil || !bytes.Equal(again, canonical) {
			t.Error("a page that was read is written otherwise")
		}
		if err := page.WriteText(&bytes.Buffer{}, Digest(canonical)); err != nil {
			t.Error(err)
		}
	})
}

// The verdicts of section 5 are told as they are: an attack that works on nothing is
// no evidence.
func TestVerdicts(t *testing.T) {
	page := &Page{Twin: &Twin{Children: 1000, Keys: 10, Attacks: []Attack{
		{Verdict: "One.", Held: true, Working: true}, {Verdict: "Two.", Held: false, Working: true}, {Verdict: "Three.", Held: true},
	}}}
	var text bytes.Buffer
	if err := page.WriteText(&text, ""); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"  * HELD. One.", "  * NOT HELD. Two.", "  * NO EVIDENCE (the attack fails on unprotected numbers too). Three.",
		"Of 3 attacks on a copy with invented children 2 got further than they should or prove nothing", "2 attacks of section 5",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestAttackers(t *testing.T) {
	got := Attackers(&disclosure.Budget{V: 50, Depths: []disclosure.DepthBudget{{Dimensions: 0, A: 5}, {Dimensions: 1, A: 2}, {Dimensions: 2}}})
	want := []Attacker{{0, 5, 3.16}, {1, 2, 5}, {2, 0, 0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	cubes := Cubes(&gateway.Definition{Dimensions: []gateway.Dimension{{Name: "sex", Nodes: make([]gateway.Node, 2)}}, Cubes: []gateway.Cube{{ID: "c", Dimensions: []string{"sex", "gone"}}}})
	if len(cubes) != 1 || len(cubes[0].Dimensions) != 1 || cubes[0].Dimensions[0].Codes != 2 {
		t.Errorf("%+v", cubes)
	}
}
