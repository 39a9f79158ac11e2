package redteam

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// The planted weaknesses. Each is the default itself with other draws or another
// way to ask; an attack that does not find the one it is named for is broken.

// freshLayer has no permanent layer: the first layer is drawn anew in each release,
// so the mean over releases converges (disclosure.md 2.11 line 12).
func freshLayer(prf gateway.PRF, _ population, release int) gateway.PRF {
	return func(label string, parts ...[]byte) uint64 {
		if label == "sdc/v2/L1" {
			parts = append(slices.Clone(parts), []byte(strconv.Itoa(release)))
		}
		return prf(label, parts...)
	}
}

// hardThreshold always draws the lowest threshold, 10.
func hardThreshold(prf gateway.PRF, _ population, _ int) gateway.PRF {
	return func(label string, parts ...[]byte) uint64 {
		if label == "sdc/v2/K" || label == "sdc/v2/E" {
			return 0
		}
		return prf(label, parts...)
	}
}

// memberKeyed draws the noise from who is in the cell instead of its label: cells of
// the same children are equal, and a changed cell is drawn anew (line 18).
func memberKeyed(prf gateway.PRF, p population, _ int) gateway.PRF {
	members := make(map[string]uint64, p.size)
	for c, t := range p.counts {
		members[p.label(c)] = t.key
	}
	return func(label string, parts ...[]byte) uint64 {
		switch label {
		case "sdc/v2/L1", "sdc/v2/L2":
			cell := parts[1]
			if label == "sdc/v2/L2" { // release=…|measure=…|label
				cell = cell[bytes.IndexByte(cell, '|')+1:]
				cell = cell[bytes.IndexByte(cell, '|')+1:]
			}
			key := fmt.Append(nil, members[string(cell)])
			return prf(label, parts[0], key)
		default:
			return prf(label, parts...)
		}
	}
}

// perProject has noise of its own for each purpose (line 8).
func perProject() publisher {
	return asking("noise per project", func(q gateway.Question) int {
		if q.Purpose == projects[0] {
			return 0
		}
		return 1
	})
}

// perSpelling has one of three noises, by how a question is written.
func perSpelling() publisher {
	return asking("noise per spelling", func(q gateway.Question) int { return len(fmt.Sprint(q.GroupBy)) % 3 })
}

// asking is a publisher whose noise key depends on something about the question.
func asking(name string, of func(gateway.Question) int) publisher {
	return publisher{name, true, func(p population, key, release int) (*view, error) {
		made := map[int]*disclosure.Published{}
		first, err := protect(p, release, noiseKey(key))
		if err != nil {
			return nil, err
		}
		p.gate = first.Gate()
		ask := func(q gateway.Question) (*gateway.Table, error) {
			own := of(q)
			if made[own] == nil {
				published, err := protect(p, release, noiseKey(key+1000*(1+own)))
				if err != nil {
					return nil, err
				}
				made[own] = published
			}
			return made[own].Ask(q)
		}
		return read(p, first, ask)
	}}
}
