package main

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/output"
	"github.com/pana-exchange/pana/gateway/series"
)

func (c *cli) codesCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "codes",
		Short: "Code lists, crosswalks, and official series beside an answer (everybody)",
		Long: `Codes are what lists and answers have in common. Each has the days on which it is
valid: a record with a code outside them is refused. Crosswalks say how the codes of one
list are said in another, many to many. Nothing is asked of the gateway.`,
	}
	command.AddCommand(c.codesListCommand(), c.codesShowCommand(), c.codesBesideCommand())
	return command
}

func (c *cli) codesListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the code lists and the crosswalks",
		RunE: func(*cobra.Command, []string) error {
			lists, walks, err := allCodes()
			if err != nil {
				return err
			}
			var entries []codesEntry
			for _, id := range slices.Sorted(maps.Keys(lists)) {
				l := lists[id]
				entries = append(entries, codesEntry{string(id), "", "", 0, l.Status, len(l.Codes), l.Title.EN, l.Source})
			}
			for _, w := range walks {
				entries = append(entries, codesEntry{w.ID, w.From, w.To, w.Version, w.Status, len(w.Pairs), w.Title.EN, w.Source})
			}
			return c.print(entries, func(w io.Writer) error {
				table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				for _, e := range entries {
					_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", e.ID, e.Status, e.Size, e.Title)
				}
				return table.Flush()
			})
		},
	}
}

// A codesEntry is a code list, or a crosswalk, of which From and To are set.
type codesEntry struct {
	ID      string `json:"id"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
	Version int    `json:"version,omitempty"`
	Status  string `json:"status"`
	Size    int    `json:"size"`
	Title   string `json:"title"`
	Source  string `json:"source"`
}

func allCodes() (map[gateway.CodeListID]*gateway.CodeList, []*gateway.Crosswalk, error) {
	lists, err := configs.CodeLists()
	if err != nil {
		return nil, nil, err
	}
	walks, err := configs.Crosswalks()
	return lists, walks, err
}

func (c *cli) codesShowCommand() *cobra.Command {
	var on string
	command := &cobra.Command{
		Use:   "show LIST",
		Short: "Show the codes of a list, or the pairs of a crosswalk, that hold on a day",
		Example: `  pana codes show kato_region --on 2019-01-01
  pana codes show kz_law_icvac`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			day := gateway.NoDay
			if on != "" {
				var ok bool
				if day, ok = gateway.ParseDay([]byte(on)); !ok {
					return usageError{errors.New("--on is a day, such as 2019-01-01")}
				}
			}
			lines, err := codesOn(args[0], day)
			if err != nil {
				return err
			}
			return c.print(lines, func(w io.Writer) error {
				table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				for _, l := range lines {
					_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", l.Code, l.To, cmp.Or(l.Match, l.Title), l.From, l.Until)
				}
				return table.Flush()
			})
		},
	}
	command.Flags().StringVar(&on, "on", "", "day, YYYY-MM-DD; default: all that ever held")
	return command
}

// A codeLine is a code, or a pair of codes.
type codeLine struct {
	Code  string `json:"code"`
	Title string `json:"title,omitempty"`
	To    string `json:"to,omitempty"`
	Match string `json:"match,omitempty"`
	From  string `json:"valid_from,omitempty"`
	Until string `json:"valid_to,omitempty"`
}

func codesOn(id string, day gateway.Day) ([]codeLine, error) {
	lists, walks, err := allCodes()
	if err != nil {
		return nil, err
	}
	var lines []codeLine
	if list := lists[gateway.CodeListID(id)]; list != nil {
		for i, code := range list.Codes {
			if day == gateway.NoDay || list.ValidOn(uint16(i+1), day) {
				lines = append(lines, codeLine{Code: code.Code, Title: code.Title.EN, From: dayText(code.From), Until: dayText(code.To)})
			}
		}
		return lines, nil
	}
	i := slices.IndexFunc(walks, func(w *gateway.Crosswalk) bool { return w.ID == id })
	if i < 0 {
		return nil, usageError{errors.New("there is no code list or crosswalk of that name; see: pana codes list")}
	}
	for _, p := range walks[i].Pairs {
		if p.HoldsOn(day) {
			lines = append(lines, codeLine{Code: p.From, To: p.To, Match: string(p.Match), From: dayText(p.Since), Until: dayText(p.Until)})
		}
	}
	return lines, nil
}

func dayText(d gateway.Day) string {
	if d == gateway.NoDay {
		return ""
	}
	return d.String()
}

func (c *cli) codesBesideCommand() *cobra.Command {
	var cubes, vocabulary string
	command := &cobra.Command{
		Use:   "beside ANSWER.csv SERIES.csv",
		Short: "Lay an official series beside an answer, by the codes of region, sex and age",
		Long: `ANSWER.csv is what pana query wrote with --format csv, SERIES.csv a data file of an Open
SDG platform, such as the statistics bureau's. Both are joined by crosswalks; the result
is CSV, one line for each number that has the codes of a cell.

match says what the official code is to the cell's: exact, narrower (a part of it),
broader (more than it) or related. A region that was divided since has broader numbers,
and note says when. Nothing is computed: a survey's share is no register's count.`,
		Example: `  pana query --release demo-1 --cube pathways --by region --purpose policy-evaluation --format csv >regions.csv
  pana codes beside regions.csv indicator_16-2-1.csv`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			answer, err := readFile(args[0], series.ReadAnswer)
			if err != nil {
				return err
			}
			official, err := readFile(args[1], series.Read)
			if err != nil {
				return err
			}
			l, err := laying(cmp.Or(cubes, lineageOf(answer.Release)), cubes != "")
			if err != nil {
				return err
			}
			l.Vocabulary = vocabulary
			lines, err := l.Beside(answer, official)
			if err != nil {
				return err
			}
			return c.print(lines, func(w io.Writer) error { return writeBeside(w, answer, official, lines) })
		},
	}
	f := command.Flags()
	f.StringVar(&cubes, "cubes", "", "file of the release's definition; default: the built-in one of its lineage")
	f.StringVar(&vocabulary, "vocabulary", "kazstat", "whose codes the series has")
	return command
}

// lineageOf is the lineage of a release: its id without the number.
func lineageOf(id gateway.ReleaseID) string {
	name, _, _ := strings.Cut(string(id), "-")
	return name
}

func laying(cubes string, file bool) (*series.Laying, error) {
	read := configs.Definition
	if file {
		read = configs.DefinitionFile
	}
	d, err := read(cubes)
	if err != nil {
		return nil, err
	}
	lists, err := configs.ListsOf(d)
	if err != nil {
		return nil, err
	}
	walks, err := configs.Crosswalks()
	return &series.Laying{Definition: d, Lists: lists, Crosswalks: walks}, err
}

func readFile[T any](path string, read func(io.Reader) (T, error)) (T, error) {
	file, err := os.Open(path) //nolint:gosec // the user names the file
	if err != nil {
		var none T
		return none, usageError{errors.New("the file cannot be read: " + path)}
	}
	defer func() { _ = file.Close() }()
	return read(file)
}

// writeBeside writes what stands beside each other as CSV.
func writeBeside(w io.Writer, a *series.Answer, s *series.Series, lines []series.Line) error {
	out := csv.NewWriter(w)
	header := append(append([]string{"measure"}, a.Dimensions...), "status", "value", "year", "unit")
	header = append(append(header, s.Columns...), "official", "match", "note")
	all := [][]string{header}
	for _, l := range lines {
		row := append(append([]string{string(a.Measure)}, l.Cell.Nodes...), l.Cell.Status, l.Cell.Value, strconv.Itoa(l.Official.Year), l.Official.Unit)
		row = append(append(row, l.Official.Codes...), l.Official.Value, string(l.Match))
		var notes []string
		for _, b := range l.Breaks {
			notes = append(notes, b.String())
		}
		all = append(all, append(row, strings.Join(notes, " ")))
	}
	for _, row := range all {
		for i, text := range row {
			row[i] = output.Guard(text)
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
