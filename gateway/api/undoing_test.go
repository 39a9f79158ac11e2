package api_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// released is a stack with the country of the tests in an approved release, and the
// truth of every cell of it.
func released(t *testing.T) (*stack, map[string]int) {
	t.Helper()
	s := newStack(t, func(p parts) {
		// Every set is open, or the sets in which a cell is impossible would be closed in
		// so small a country.
		d := *p.exchange.Definitions["demo"]
		d.Gate = &gateway.GateDecision{Because: "a test of hidden cells"}
		for _, a := range d.AdmittedSets() {
			if len(a.Set) > 0 {
				d.Gate.Open = append(d.Gate.Open, a.Set.Key(&d))
			}
		}
		slices.Sort(d.Gate.Open)
		p.exchange.Definitions["demo"] = &d
	})
	for sector, file := range must(country())(t) {
		s.want(t, http.StatusCreated, sending(sector, sector, file))
	}
	var built gateway.Release
	s.want(t, http.StatusCreated, posting("steward", "/v1/releases", `{"definition":"demo"}`)).decode(t, &built)
	s.approve(t, built)
	d := must(configs.Definition("demo"))(t)
	again := must(synth.New(synth.Options{Children: 1500, Seed: 3, Contracts: must(configs.Contracts())(t)}))(t)
	truth := must(again.Truth(d, must(s.registry.Coverage(t.Context(), built.Snapshot, d.From, d.To))(t)))(t)
	counts := map[string]int{}
	for label, c := range truth.Cells {
		counts[label] = c.Children
	}
	return s, counts
}

// asked is the question for one cell, by filters.
func asked(cube, label string) call {
	filter := map[string]string{}
	for fact := range strings.SplitSeq(label, "|") {
		if name, code, ok := strings.Cut(fact, "="); ok {
			filter[name] = code
		}
	}
	body, _ := json.Marshal(map[string]any{"measure": "children", "filter": filter, "purpose": "evaluation"})
	return posting("researcher", "/v1/releases/demo-1/cubes/"+cube+"/table", string(body))
}

// A kind is what a cell is in truth, which answers must not tell among hidden ones.
type kind string

const (
	isShown      kind = "shown"
	isSmall      kind = "hidden, with children"
	isZero       kind = "hidden, without a child"
	isImpossible kind = "impossible"
	isSilent     kind = "not reported"
)

// sortCells finds cells of a set of the release by kind, of one length of label each,
// so that answers of one cell can be compared to the byte.
func (s *stack) sortCells(t *testing.T, counts map[string]int, cube string, dims ...string) map[kind][]string {
	t.Helper()
	body := must(json.Marshal(map[string]any{"measure": "children", "group_by": dims, "purpose": "evaluation"}))(t)
	var table gateway.Table
	s.want(t, http.StatusOK, posting("researcher", "/v1/releases/demo-1/cubes/"+cube+"/table", string(body))).decode(t, &table)
	kinds := map[kind][]string{}
	for _, c := range table.Cells {
		var facts []string
		for i, code := range c.Nodes {
			name, _, _ := strings.Cut(table.Dimensions[i], "@")
			facts = append(facts, name+"="+code)
		}
		label := strings.Join(facts, "|")
		k := map[gateway.CellStatus]kind{
			gateway.StatusValue: isShown, gateway.StatusImpossible: isImpossible, gateway.StatusNotReported: isSilent, gateway.StatusSuppressed: isSmall,
		}[c.Status]
		if k == isSmall && counts[label] == 0 {
			k = isZero
		}
		kinds[k] = append(kinds[k], label)
	}
	return kinds
}

// bare is an answer without what names the question and its asking (the evidence is of
// the ledger, and would be of any answer): the shape that is left must be
// one and the same.
func bare(t *testing.T, r reply) string {
	t.Helper()
	var body map[string]any
	r.decode(t, &body)
	for _, name := range []string{"question", "filter", "decision"} {
		if body[name] == nil {
			t.Errorf("the answer has no %s", name)
		}
		delete(body, name)
	}
	h := r.header.Clone()
	for _, name := range []string{"Date", "Request-Id", "Pana-Evidence"} {
		h.Del(name)
	}
	return fmt.Sprint(r.status, h, string(must(json.Marshal(body))(t)))
}

// Lines 5, 6, 11, 15 and 19 of disclosure.md 2.11 where they would show, in HTTP: the
// answer for a hidden cell has the same status, headers, body and size whether children
// are in it or not; one that is impossible or not reported differs in the word that says
// so, and a value in its number. Nothing of a count is in the log, and no question may
// compare one with a number.
func TestUndoingOverHTTP(t *testing.T) {
	s, counts := released(t)
	t.Run("one cell", func(t *testing.T) { s.oneCell(t, counts) })
	t.Run("order", s.codeOrder)
	t.Run("comparisons", s.comparisons)
	t.Run("media types", s.sameInBoth)
	t.Run("log", func(t *testing.T) { s.quietLog(t, counts) })
}

// oneCell asks for cells by themselves.
func (s *stack) oneCell(t *testing.T, counts map[string]int) {
	t.Helper()
	sizes := map[kind]map[int]bool{isSmall: {}, isZero: {}} // of bodies, less the cell's name
	answers := map[kind]map[string]bool{}
	seen := map[kind]int{}
	for _, set := range [][]string{{"age_first", "sector", "sex"}, {"age_first", "first_sector"}, {"first_sector", "reached"}, {"region", "first_sector"}} {
		for k, labels := range s.sortCells(t, counts, "pathways", set...) {
			for _, label := range labels[:min(6, len(labels))] {
				for _, accept := range []string{"application/json", "text/csv"} {
					r := s.want(t, http.StatusOK, asked("pathways", label).with("Accept", accept))
					if r.header.Get("ETag") != "" || r.header.Get("Last-Modified") != "" || r.header.Get("Cache-Control") != "private, no-store" {
						t.Errorf("%s: an answer that is cached or compared: %v", k, r.header)
					}
					if accept == "text/csv" {
						continue
					}
					seen[k]++
					r.header.Del("Content-Length")
					if answers[k] == nil {
						answers[k] = map[string]bool{}
					}
					if k == isShown {
						continue
					}
					answers[k][bare(t, r)] = true
					if sizes[k] != nil {
						sizes[k][len(r.body)-2*len(label)-4*len(set)] = true
					}
				}
			}
		}
	}
	for _, k := range []kind{isShown, isSmall, isZero, isImpossible, isSilent} {
		if seen[k] == 0 {
			t.Errorf("no cell is %s: the test says nothing of it", k)
		}
	}
	hidden := answers[isSmall]
	if len(hidden) == 0 || !cmp.Equal(hidden, answers[isZero]) {
		t.Errorf("hidden cells with children and without answer otherwise:\n%s", cmp.Diff(hidden, answers[isZero]))
	}
	if !cmp.Equal(sizes[isSmall], sizes[isZero]) {
		t.Errorf("answers for hidden cells with children have %v bytes beside the cell's name, without %v", sizes[isSmall], sizes[isZero])
	}
	for k, status := range map[kind]string{isImpossible: "impossible", isSilent: "not_reported"} {
		said := map[string]bool{}
		for text := range answers[k] {
			said[strings.Replace(text, `"status":"`+status+`"`, `"status":"suppressed"`, 1)] = true
		}
		for text := range said {
			if !hidden[text] {
				t.Errorf("an answer that is %s differs in more than its status:\n%s\n%v", k, text, hidden)
			}
		}
	}
}

// codeOrder demands the rows in the order of the code lists.
func (s *stack) codeOrder(t *testing.T) {
	t.Helper()
	d := must(configs.Definition("demo"))(t)
	for _, dim := range []string{"region", "first_sector", "reached", "age_first"} {
		var table gateway.Table
		s.want(t, http.StatusOK, posting("researcher", question, `{"measure":"children","group_by":["`+dim+`"],"purpose":"evaluation"}`)).decode(t, &table)
		var got, want []string
		for _, c := range table.Cells {
			got = append(got, c.Nodes[0])
		}
		for _, n := range d.Dimension(dim).Nodes {
			if n.Code != d.Dimension(dim).Omitted {
				want = append(want, n.Code)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("rows by %s are not in the order of codes:\n%s", dim, diff)
		}
	}
}

// comparisons asks what would compare counts with a number, order rows by them or cut
// them off: each is refused in the same words, whatever number it names.
func (s *stack) comparisons(t *testing.T) {
	for _, word := range []string{"having", "min", "limit", "top", "order_by", "offset", "at_least"} {
		said := map[string]bool{}
		for _, n := range []int{0, 10, 100000} {
			r := s.want(t, http.StatusBadRequest, posting("researcher", question, fmt.Sprintf(`{"measure":"children","group_by":["region"],"purpose":"evaluation",%q:%d}`, word, n)))
			said[r.anonymous()] = true
		}
		if len(said) != 1 {
			t.Errorf("%s is refused in %d ways", word, len(said))
		}
	}
}

// sameInBoth asks random questions in random spellings, as JSON and as CSV: one label,
// one answer, and the same cells in both (disclosure.md 2.1; A6).
func (s *stack) sameInBoth(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 1))
	dims := []string{"age_first", "sector", "sex"}
	codes := map[string]string{"age_first": "Y10T14", "sector": "health", "sex": "F"}
	for range 15 {
		var by, again, filter []string
		for _, i := range r.Perm(len(dims)) {
			switch dim := dims[i]; r.IntN(3) {
			case 0:
				by, again = append(by, dim), append([]string{dim + "@" + s.level(t, dim)}, again...)
			case 1:
				filter = append(filter, fmt.Sprintf("%q:%q", dim, codes[dim]))
			}
		}
		ask := func(by []string) call {
			if by == nil {
				by = []string{}
			}
			groups := must(json.Marshal(by))(t)
			return posting("researcher", question, fmt.Sprintf(`{"measure":"children","group_by":%s,"filter":{%s},"purpose":"evaluation"}`, groups, strings.Join(filter, ",")))
		}
		one, two := s.want(t, http.StatusOK, ask(by)), s.want(t, http.StatusOK, ask(again))
		if string(one.body) != string(two.body) {
			t.Fatalf("%v and %v have two answers", by, again)
		}
		var table gateway.Table
		one.decode(t, &table)
		lines := must(csv.NewReader(strings.NewReader(string(s.want(t, http.StatusOK, ask(again).with("Accept", "text/csv")).body))).ReadAll())(t)
		column := func(name string) int { return slices.Index(lines[0], name) }
		if len(lines)-1 != len(table.Cells) {
			t.Fatalf("%d cells and %d lines", len(table.Cells), len(lines)-1)
		}
		for i, c := range table.Cells {
			line, value := lines[i+1], ""
			if c.Value != nil {
				value = strconv.FormatInt(*c.Value, 10)
			}
			if line[column("status")] != string(c.Status) || line[column("value")] != value || line[column("decision")] != table.Decision {
				t.Errorf("cell %v is %s %s in JSON and %v in CSV", c.Nodes, c.Status, value, line)
			}
		}
	}
}

func (s *stack) level(t *testing.T, dim string) string {
	t.Helper()
	return must(configs.Definition("demo"))(t).Dimension(dim).Levels[0]
}

// quietLog demands that what was logged of questions is their route, status, size and
// time, and that no line differs by what a hidden cell holds.
func (s *stack) quietLog(t *testing.T, counts map[string]int) {
	t.Helper()
	kinds := s.sortCells(t, counts, "pathways", "age_first", "sector", "sex")
	logged := func(label string) string {
		before := len(s.log.requests(t))
		r := s.want(t, http.StatusOK, asked("pathways", label))
		events := s.log.requests(t)[before:]
		if len(events) != 1 {
			t.Fatalf("%d log lines of one question", len(events))
		}
		e := events[0]
		if e["bytes"] != float64(len(r.body)) {
			t.Errorf("%v bytes logged, %d sent", e["bytes"], len(r.body))
		}
		e["bytes"] = len(r.body) - 2*len(label) - strings.Count(label, "|")
		for _, name := range []string{"id", "took", "time"} {
			if e[name] == nil {
				t.Errorf("the log line has no %s", name)
			}
			delete(e, name)
		}
		return fmt.Sprint(e)
	}
	lines := map[string]bool{}
	for _, k := range []kind{isSmall, isZero} {
		if len(kinds[k]) == 0 {
			t.Fatalf("no cell is %s", k)
		}
		for _, label := range kinds[k][:min(4, len(kinds[k]))] {
			lines[logged(label)] = true
		}
	}
	if len(lines) != 1 {
		t.Errorf("hidden cells are logged in %d ways: %v", len(lines), lines)
	}
}
