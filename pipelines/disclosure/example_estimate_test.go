package disclosure_test

import (
	"fmt"
	"log"
	"math"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// districts is a made-up country of six regions, for README.md: children known to the
// police by region, sex, age and whether social protection reached them.
func districts() *gateway.Definition {
	d := clinics()
	d.Lineage = "districts"
	region := d.Dimensions[0]
	region.Name, region.Levels, region.Nodes = "region", []string{"region"}, nil
	for i, name := range []string{"north", "east", "south", "west", "lakes", "steppe"} {
		region.Nodes = append(region.Nodes, gateway.Node{Code: name, Number: uint16(i + 1)})
	}
	reached := region
	reached.Name, reached.Levels, reached.Omitted = "reached", []string{"reached"}, "yes"
	reached.Nodes = []gateway.Node{{Code: "yes", Number: 1}, {Code: "no", Number: 2}}
	d.Dimensions = append(d.Dimensions, region, reached)
	d.Cubes = []gateway.Cube{{
		ID: "pathways", Grain: gateway.Children, Dimensions: []string{"age", "reached", "region", "sex"}, Cap: 4,
		Measures: []gateway.Measure{gateway.CountChildren},
	}}
	return d
}

// counted fills a Raw with the children of the country, made up cell by cell.
func counted(d *gateway.Definition) *disclosure.Raw {
	size := map[string]int{"north": 1050, "east": 780, "south": 1300, "west": 380, "lakes": 230, "steppe": 35}
	age := map[string]int{"Y0T4": 15, "Y5T9": 25, "Y10T14": 36, "Y15T17": 24}
	unreached := map[string]int{"north": 30, "east": 34, "south": 52, "west": 40, "lakes": 37, "steppe": 40}
	raw := disclosure.NewRaw(d)
	for _, a := range d.AdmittedSets() {
		cells, keys := map[string][]string{}, map[string]disclosure.Count{}
		for region, n := range size {
			for years, part := range age {
				for i, sex := range []string{"F", "M"} {
					all := n * part * (11 - 2*i) / 2000
					no := all * unreached[region] / 100
					for reached, children := range map[string]int{"yes": all - no, "no": no} {
						codes := map[string]string{"age": years, "reached": reached, "region": region, "sex": sex}
						var nodes []string
						for _, sd := range a.Set {
							nodes = append(nodes, codes[sd.Name])
						}
						label := a.Set.Label(nodes)
						c := keys[label]
						c.Children += uint64(children)
						c.Key += noise("example", []byte(region+years+sex+reached)) * uint64(children)
						cells[label], keys[label] = nodes, c
					}
				}
			}
		}
		for label, c := range keys {
			if c.Children == 0 {
				continue
			}
			err := raw.Add(a.Set, cells[label], c)
			if err != nil {
				log.Fatal(err)
			}
		}
	}
	return raw
}

// Working with published numbers: the share of girls of 10 to 14 whom social
// protection did not reach, by region, with an interval that has both the noise of
// publication and the chance in who came to the police; two regions compared; a line
// through all of them, weighted; and what sums of cells are not.
func Example_estimate() {
	published, err := disclosure.Protect(counted(districts()), disclosure.Release{
		ID: "districts-1", Number: 1, Lineage: "districts", Coverage: &gateway.Coverage{}, Noise: noise,
		Rules: gateway.ReleaseRules{
			Threshold: []float64{.15, .1, .1, .1, .1, .1, .1, .1, .1, .05}, ThresholdMin: 10, RecordCap: 20, Share: 0.95, ShareBelow: 200,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	ask := func(q gateway.Question) *gateway.Table {
		q.Cube = "pathways"
		table, err := published.Ask(q)
		if err != nil {
			log.Fatal(err)
		}
		return table
	}
	girls := map[string]string{"sex": "F", "age": "Y10T14"}
	known := ask(gateway.Question{Measure: gateway.CountChildren, Filter: girls, GroupBy: []string{"region"}})
	unreached := ask(gateway.Question{
		Measure: gateway.CountChildren, Filter: map[string]string{"sex": "F", "age": "Y10T14", "reached": "no"}, GroupBy: []string{"region"},
	})

	// A share p = a/b of two published counts. Noise: V (1 + p^2) / b^2, by the delta
	// method. Chance: p (1-p) / b, if the girls are seen as a sample of those to come.
	type share struct{ p, noise, se float64 }
	shares := map[string]share{}
	fmt.Println("region   known  not reached   share  sd of noise  standard error  95 % interval")
	for i, c := range known.Cells {
		name, a := c.Nodes[0], unreached.Cells[i]
		if c.Value == nil || a.Value == nil {
			fmt.Printf("%-7s  %s, %s\n", name, c.Status, a.Status)
			continue
		}
		p, b := float64(*a.Value)/float64(*c.Value), float64(*c.Value)
		noise := math.Sqrt(known.Variance*(1+p*p)) / b
		se := math.Sqrt(noise*noise + p*(1-p)/b)
		shares[name] = share{p, noise, se}
		fmt.Printf("%-7s  %5d  %11d   %.3f  %11.3f  %14.3f  %.2f to %.2f\n", name, *c.Value, *a.Value, p, noise, se, p-1.96*se, p+1.96*se)
	}

	own := ask(gateway.Question{Measure: "reached.share", Filter: map[string]string{"sex": "F", "age": "Y10T14", "reached": "no", "region": "south"}}).Cells[0]
	fmt.Printf("south by the gateway's own measure reached.share: %s, sd of noise %s\n", own.Estimate, own.SD)

	s, n := shares["south"], shares["north"]
	se := math.Hypot(s.se, n.se)
	fmt.Printf("south less north: %.3f, standard error %.3f, z = %.1f\n", s.p-n.p, se, (s.p-n.p)/se)

	// A weighted line through the regions, by case load of a social worker: weights are
	// 1/se^2, which count the noise in.
	load := map[string]float64{"north": 21, "east": 27, "south": 40, "west": 30, "lakes": 28}
	var sw, swx, swy, swxx, swxy float64
	for _, c := range known.Cells { // not over the map: sums of floats depend on the order
		name := c.Nodes[0]
		sh, ok := shares[name]
		if !ok {
			continue
		}
		x, w := load[name], 1/(sh.se*sh.se)
		sw, swx, swy, swxx, swxy = sw+w, swx+w*x, swy+w*sh.p, swxx+w*x*x, swxy+w*x*sh.p
	}
	slope := (sw*swxy - swx*swy) / (sw*swxx - swx*swx)
	fmt.Printf("ten more cases a worker: share higher by %.3f, standard error %.3f\n", 10*slope, 10*math.Sqrt(sw/(sw*swxx-swx*swx)))

	sum, cells := int64(0), 0.0
	for _, c := range ask(gateway.Question{Measure: gateway.CountChildren, GroupBy: []string{"region"}}).Cells {
		if c.Value != nil {
			sum += *c.Value
			cells++
		}
	}
	total := ask(gateway.Question{Measure: gateway.CountChildren}).Cells[0]
	fmt.Printf("all children: %d by their own cell (sd %.1f), %d by %.0f regions (sd %.1f)\n", *total.Value, math.Sqrt(known.Variance), sum, cells, math.Sqrt(cells*known.Variance))
	// Output:
	// region   known  not reached   share  sd of noise  standard error  95 % interval
	// north      210           55   0.262        0.035           0.046  0.17 to 0.35
	// east       150           45   0.300        0.049           0.062  0.18 to 0.42
	// south      265          120   0.453        0.029           0.042  0.37 to 0.54
	// west        70           25   0.357        0.107           0.122  0.12 to 0.60
	// lakes    suppressed, suppressed
	// steppe   suppressed, suppressed
	// south by the gateway's own measure reached.share: 0.45, sd of noise 0.030
	// south less north: 0.191, standard error 0.063, z = 3.0
	// ten more cases a worker: share higher by 0.103, standard error 0.032
	// all children: 3750 by their own cell (sd 7.1), 3760 by 6 regions (sd 17.3)
}
