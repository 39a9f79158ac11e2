package warehouse_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// truth counts in plain Go, from the definitions in domain.md 3.1.
func truth(d *gateway.Definition, rows []row, coverage *gateway.Coverage, contracts []*gateway.Contract, limit int) cells {
	byChild := map[[16]byte][]row{}
	for _, r := range rows {
		if r.region == regions+1 {
			r.region = regions
		}
		if r.pid != [16]byte{} && r.quarter >= from && r.quarter <= to {
			byChild[r.pid] = append(byChild[r.pid], r)
		}
	}
	records := map[string]map[[16]byte]int{}
	for pid, events := range byChild {
		attributes := attributesOf(events, coverage, contracts)
		for _, a := range d.AdmittedSets() {
			for _, r := range events {
				for _, label := range labelsOf(d, a.Set, attributes, r, contracts) {
					if records[label] == nil {
						records[label] = map[[16]byte]int{}
					}
					records[label][pid]++
				}
			}
		}
	}
	measured := map[string]bool{}
	for _, a := range d.AdmittedSets() {
		if slices.Contains(a.Measures, gateway.CountRecords) {
			measured[a.Set.Key(d)] = true
		}
	}
	found := cells{}
	for label, children := range records {
		n := disclosure.Count{Children: uint64(len(children))}
		for pid, count := range children {
			n.Key += subjectKey(pid)
			if measured[setOf(d, label)] {
				n.Records += uint64(min(count, limit))
				n.Top = append(n.Top, uint32(min(count, limit)))
			}
		}
		slices.Sort(n.Top)
		slices.Reverse(n.Top)
		n.Top = n.Top[:min(len(n.Top), 6)]
		found[label] = n
	}
	return found
}

// setOf is the key of the grouping set of a label.
func setOf(d *gateway.Definition, label string) string {
	if label == "" {
		return ""
	}
	var set gateway.GroupingSet
	for part := range strings.SplitSeq(label, "|") {
		name, code, _ := strings.Cut(part, "=")
		set = append(set, gateway.SetDimension{Name: name, Level: d.Dimension(name).Node(code).Level})
	}
	return set.Key(d)
}

// labelsOf lists the cells of a set that an event of a child is in.
func labelsOf(d *gateway.Definition, set gateway.GroupingSet, attributes map[string]string, r row, contracts []*gateway.Contract) []string {
	nodes := [][]string{nil}
	for _, sd := range set {
		codes := map[string]bool{}
		for _, leaf := range leavesOf(sd.Name, attributes, r, contracts) {
			if n := leafNode(d.Dimension(sd.Name), leaf); n != nil {
				for n.Level > sd.Level {
					n = d.Dimension(sd.Name).Node(n.Parent)
				}
				codes[n.Code] = true
			}
		}
		var longer [][]string
		for _, n := range nodes {
			for code := range codes {
				longer = append(longer, append(slices.Clone(n), code))
			}
		}
		nodes = longer
	}
	var labels []string
	for _, n := range nodes {
		labels = append(labels, set.Label(n))
	}
	return labels
}

// leafNode is the node that a code of the list is in: its own, or the one that it is a
// member of.
func leafNode(dim *gateway.Dimension, code string) *gateway.Node {
	for i := range dim.Nodes {
		for _, m := range dim.Nodes[i].Members {
			if m.Code == code {
				return &dim.Nodes[i]
			}
		}
	}
	return dim.Node(code)
}

func leavesOf(dimension string, attributes map[string]string, r row, contracts []*gateway.Contract) []string {
	switch dimension {
	case "sector":
		return []string{string(contracts[r.contract].ID)}
	case "quarter":
		return []string{r.quarter.String()}
	case "year":
		return []string{fmt.Sprint(int(r.quarter) / 4)}
	case "kind":
		return kindOf(r)
	case "pair":
		return strings.Split(attributes["pair"], ",")
	case "place":
		return []string{fmt.Sprint("kato", r.region)}
	case "harm":
		var codes []string
		for i := range harms {
			if r.contract == 0 && r.harm>>i&1 == 1 || r.contract == 1 && r.harm == uint64(i+1) {
				codes = append(codes, fmt.Sprint("harm", i+1))
			}
		}
		return codes
	}
	return []string{attributes[dimension]}
}

// kindOf reads a row's kind by the list of its contract; pk2 replaced pk4.
func kindOf(r row) []string {
	switch {
	case r.kind == 0:
		return nil
	case r.contract == 0 && r.kind == 4:
		return []string{"police.pk2"}
	case r.contract == 0:
		return []string{fmt.Sprint("police.pk", r.kind)}
	}
	return []string{fmt.Sprint("health.hk", r.kind)}
}

// seenBy derives how many sectors have seen a child, and which two both have.
func seenBy(events []row, contracts []*gateway.Contract) (count, pairs string) {
	var names []string
	for _, r := range events {
		if name := string(contracts[r.contract].ID); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var both []string
	for i, a := range names {
		for _, b := range names[i+1:] {
			both = append(both, a+"+"+b)
		}
	}
	if len(names) == 1 {
		return "1", ""
	}
	return "2+", strings.Join(both, ",")
}

// attributesOf derives a child from its events: the leaf of each dimension.
func attributesOf(events []row, coverage *gateway.Coverage, contracts []*gateway.Contract) map[string]string {
	events = slices.Clone(events)
	slices.SortFunc(events, func(a, b row) int {
		if c := late(a.day) - late(b.day); c != 0 {
			return c
		}
		if a.contract != b.contract {
			return a.contract - b.contract
		}
		return (int(a.age)+255)%256 - (int(b.age)+255)%256 // empty last
	})
	leaf := map[string]string{
		"first":     string(contracts[events[0].contract].ID),
		"age_first": fmt.Sprint("age", events[0].age),
		"region":    fmt.Sprint("kato", regionOf(events)),
	}
	sexes := map[uint8]bool{}
	for _, r := range events {
		if r.sex > 0 {
			sexes[r.sex] = true
		}
	}
	for sex := range sexes {
		if len(sexes) == 1 {
			leaf["sex"] = fmt.Sprint("sex", sex)
		}
	}
	leaf["count"], leaf["pair"] = seenBy(events, contracts)
	leaf["reached"] = reachedOf(events, leaf["region"], coverage)
	return leaf
}

// late sorts a missing day last.
func late(d gateway.Day) int {
	if d == gateway.NoDay {
		return 1 << 40
	}
	return int(d)
}

func regionOf(events []row) uint8 {
	votes := map[uint8]map[int]bool{}
	first := map[uint8]int{}
	for _, r := range events {
		if r.region == 0 {
			continue
		}
		if votes[r.region] == nil {
			votes[r.region], first[r.region] = map[int]bool{}, late(r.day)
		}
		votes[r.region][r.contract] = true
		first[r.region] = min(first[r.region], late(r.day))
	}
	best, tied := uint8(0), false
	for region := range votes {
		switch {
		case best == 0 || len(votes[region]) > len(votes[best]) || len(votes[region]) == len(votes[best]) && first[region] < first[best]:
			best, tied = region, false
		case len(votes[region]) == len(votes[best]) && first[region] == first[best]:
			tied = true
		}
	}
	if tied {
		return 0
	}
	return best
}

// reachedOf reads domain.md 3.1 anew: events are sorted by day.
func reachedOf(events []row, region string, coverage *gateway.Coverage) string {
	start := slices.IndexFunc(events, func(r row) bool { return r.contract == 0 })
	if start < 0 {
		return "no_start"
	}
	day, cohort := events[start].day, events[start].quarter
	if day == gateway.NoDay {
		return "cannot_tell"
	}
	for _, r := range events { // the cohort of several on that day is the earliest
		if r.contract == 0 && r.day == day {
			cohort = min(cohort, r.quarter)
		}
	}
	places := []string{region}
	if region == "kato0" {
		places = []string{"kato1", "kato2", "kato3", "kato4", "kato5"}
	}
	for _, place := range places {
		for _, sector := range []gateway.ContractID{"police", "social"} {
			if h := coverage.Horizon(sector, place, from); h == 0 || h.Last() < cohort.Last()+30 {
				return "cannot_tell"
			}
		}
	}
	for _, r := range events {
		for _, target := range []gateway.Day{r.assessed, r.began} {
			if r.contract == 2 && target != gateway.NoDay && target >= day && target-day <= 30 {
				return "yes"
			}
		}
	}
	return "no"
}
