package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/gateway/exchange"
)

func (c *cli) showCommand(flags *clientFlags) *cobra.Command {
	var risk bool
	lang := "en"
	command := &cobra.Command{
		Use: "show RELEASE", Short: "The catalogue of a release, or with --risk what an officer reads before approving",
		Long: `Show what can be asked of a release and what it means: cubes, dimensions and their
codes, measures, what is admitted, and how far it can be relied on: how completely and
how soon agencies and regions reported, and how many of their records point to a child,
in bands. There is no count of children in it.`,
		Example: `  pana release show demo-1
  pana release show demo-1 --lang kk
  pana release show demo-1 --risk`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains([]string{"kk", "ru", "en"}, lang) {
				return usageError{errors.New("--lang is kk, ru or en")}
			}
			cl, err := flags.client()
			if err != nil {
				return err
			}
			if risk {
				return c.showRisk(cmd.Context(), cl, args[0])
			}
			catalogue, err := cl.catalogue(cmd.Context(), args[0], lang)
			if err != nil {
				return err
			}
			return c.print(catalogue, func(w io.Writer) error { return writeCatalogue(w, catalogue) })
		},
	}
	command.Flags().BoolVar(&risk, "risk", false, "the risk page: by grouping set, never a cell")
	command.Flags().StringVar(&lang, "lang", lang, "language of the catalogue: kk, ru or en")
	return command
}

// catalogue reads the catalogue of a release in a language.
func (c *client) catalogue(ctx context.Context, release, lang string) (exchange.Catalogue, error) {
	var catalogue exchange.Catalogue
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/v1/releases/"+url.PathEscape(release), nil)
	if err != nil {
		return catalogue, usageError{errors.New("the gateway's address is not one: " + c.base)}
	}
	request.Header.Set("Accept-Language", lang)
	body, err := c.do(request)
	if err == nil && json.Unmarshal(body, &catalogue) != nil {
		err = errors.New("the gateway's answer is not the JSON that this version reads")
	}
	return catalogue, err
}

// headings are those of the catalogue, by language.
var headings = map[string]map[string]string{
	"en": {
		"window": "window %s to %s", "cube": "cube %s: %s; at most %d dimensions at once\n  counts %s\n", "dims": "dimensions", "codes": "codes",
		"measures": "measures", "admitted": "may be crossed, with the number of cells", "closed": "too sparse, not published",
		"sectors":  "sector\treported\tsoon\trecords linked\tby number\tof these disagreeing\tby name",
		"agencies": "agency\t\treported\tsoon\trecords linked\tby number\tof these disagreeing\tby name",
		"places":   "sector\tregion\treported\tsoon\twithout a gap through", "notes": "notes",
		"indicators": "indicators (pana query --indicator)", "linked": "records linked",
	},
	"ru": {
		"window": "период с %s по %s", "cube": "куб %s: %s; не более %d измерений сразу\n  считаются %s\n", "dims": "измерения", "codes": "коды",
		"measures": "показатели", "admitted": "можно скрещивать, с числом ячеек", "closed": "слишком редко, не публикуется",
		"sectors":  "сектор\tотчётность\tсрок\tсвязанные записи\tпо номеру\tиз них противоречивые\tпо имени",
		"agencies": "ведомство\t\tотчётность\tсрок\tсвязанные записи\tпо номеру\tиз них противоречивые\tпо имени",
		"places":   "сектор\tрегион\tотчётность\tсрок\tнепрерывно по", "notes": "примечания",
		"indicators": "индикаторы (pana query --indicator)", "linked": "связанные записи",
	},
	"kk": {
		"window": "кезең: %s – %s", "cube": "текше %s: %s; бір мезгілде ең көбі %d өлшем\n  саналатыны: %s\n", "dims": "өлшемдер", "codes": "кодтар",
		"measures": "көрсеткіштер", "admitted": "қиыстыруға болады, ұяшықтар санымен", "closed": "тым сирек, жарияланбайды",
		"sectors":  "сектор\tесептілік\tмерзім\tбайланысқан жазбалар\tнөмірі бойынша\tоның ішінде қайшы\tаты бойынша",
		"agencies": "ұйым\t\tесептілік\tмерзім\tбайланысқан жазбалар\tнөмірі бойынша\tоның ішінде қайшы\tаты бойынша",
		"places":   "сектор\tөңір\tесептілік\tмерзім\tүзіліссіз, дейін", "notes": "ескертпелер",
		"indicators": "индикаторлар (pana query --indicator)", "linked": "байланысқан жазбалар",
	},
}

func writeCatalogue(w io.Writer, c exchange.Catalogue) error {
	d, g := c.Pinned.Definition, c.Guide
	_, _ = fmt.Fprintf(w, "release %s  %s  built %s\ncells  %s\npolicy %s\n%s\n", c.ID, c.State,
		c.Built.Format("2006-01-02 15:04 MST"), c.Digest, c.Policy, c.Notice)
	if d == nil || g == nil {
		return nil
	}
	says := headings[g.Lang]
	if says == nil {
		says = headings["en"]
	}
	_, _ = fmt.Fprintf(w, says["window"]+", V = %g\n%s", d.From, d.To, d.V, c.Pinned.History())
	for i := range g.Cubes {
		err := writeGuideCube(w, &g.Cubes[i], says)
		if err != nil {
			return err
		}
	}
	for i := range g.Indicators {
		n := &g.Indicators[i]
		if i == 0 {
			_, _ = fmt.Fprintf(w, "\n%s\n", says["indicators"])
		}
		_, _ = fmt.Fprintf(w, "  %s: %s. %s [%s: %s]\n", n.ID, n.Title, n.Definition, says["linked"], n.Linkable)
	}
	if by := d.Gate; by != nil {
		_, _ = fmt.Fprintf(w, "decided by the steward and the officer: open %v, close %v, because %s\n", by.Open, by.Close, by.Because)
	}
	err := writeGuideQuality(w, g, says)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(w, "\n%s\n", says["notes"])
	for _, note := range g.Notes {
		_, _ = fmt.Fprintf(w, "  %s\n", note)
	}
	if g.Lang == "en" {
		for _, sentence := range c.Protection {
			_, _ = fmt.Fprintf(w, "  %s\n", sentence)
		}
	}
	return nil
}

// writeGuideCube lists what one cube answers. Its closed sets are public, or readers
// would try them one by one.
func writeGuideCube(w io.Writer, cube *exchange.GuideCube, says map[string]string) error {
	_, _ = fmt.Fprintf(w, "\n"+says["cube"], cube.ID, cube.Title, cube.Most, cube.Counts)
	_, _ = fmt.Fprintf(w, "  %s\n", says["dims"])
	for i := range cube.Dimensions {
		dim := &cube.Dimensions[i]
		_, _ = fmt.Fprintf(w, "    %s: %s. %s\n", dim.Name, dim.Title, dim.Definition)
		_, _ = fmt.Fprintf(w, "      %s: %s\n", says["codes"], strings.Join(codesOf(dim), ", "))
	}
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "  %s\n", says["measures"])
	for _, m := range cube.Measures {
		_, _ = fmt.Fprintf(t, "    %s\t%s\n", m.Measure, m.Definition)
	}
	err := t.Flush()
	_, _ = fmt.Fprintf(w, "  %s: %d\n", says["admitted"], len(cube.Admitted))
	for _, s := range cube.Admitted {
		_, _ = fmt.Fprintf(w, "    %s (%d)\n", s.Set, s.Cells)
	}
	if len(cube.Closed) > 0 {
		_, _ = fmt.Fprintf(w, "  %s: %d\n    %s\n", says["closed"], len(cube.Closed), strings.Join(cube.Closed, "\n    "))
	}
	return err
}

// codesOf writes the codes of a dimension, a finer one as part of its parent's.
func codesOf(dim *exchange.GuideDimension) []string {
	var list []string
	for _, n := range dim.Codes {
		text := n.Code
		if n.Title != "" && n.Title != n.Code {
			text += " " + n.Title
		}
		if n.Parent != "" {
			text += " < " + n.Parent
		}
		if n.Note != "" {
			text += " [" + n.Note + "]"
		}
		list = append(list, text)
	}
	return list
}

func writeGuideQuality(w io.Writer, g *exchange.Guide, says map[string]string) error {
	for _, part := range []struct {
		head string
		rows [][]string
	}{{"sectors", sectorRows(g)}, {"agencies", agencyRows(g)}, {"places", placeRows(g)}} {
		if len(part.rows) == 0 {
			continue
		}
		t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
		_, _ = fmt.Fprintf(t, "\n%s\n", says[part.head])
		for _, row := range part.rows {
			_, _ = fmt.Fprintln(t, strings.Join(row, "\t"))
		}
		err := t.Flush()
		if err != nil {
			return err
		}
	}
	return nil
}

func sectorRows(g *exchange.Guide) [][]string {
	var rows [][]string
	for _, s := range g.Sectors {
		rows = append(rows, append([]string{s.Title, s.Reported, s.Timely}, linkageRow(s.Linkage)...))
	}
	return rows
}

func agencyRows(g *exchange.Guide) [][]string {
	var rows [][]string
	for _, a := range g.Agencies {
		rows = append(rows, append([]string{string(a.Agency), a.Title, a.Reported, a.Timely}, linkageRow(a.Linkage)...))
	}
	return rows
}

func placeRows(g *exchange.Guide) [][]string {
	var rows [][]string
	for _, p := range g.Places {
		rows = append(rows, []string{p.Sector, p.Title, p.Reported, p.Timely, p.Through})
	}
	return rows
}

func linkageRow(l exchange.GuideLinkage) []string {
	return []string{l.Linkable, l.Identified, l.Disagreeing, l.Fallback}
}
