package output

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A data structure of SDMX is of a cube, not of a question: it has every dimension of
// the cube, and a question that does not name one has the code _T there. So tables of
// one cube can be laid together.
const (
	agency  = "KZ_CPG" // domain.md 2.3
	version = "1.0.0"
	total   = "_T"
)

// A code is one code of a code list of SDMX.
type code struct {
	id    string
	title gateway.Text
}

// An axis is a dimension of a data structure.
type axis struct {
	id    string
	title gateway.Text
	codes []code // those that occur, in the order of the definition
	of    []axisOf
	fixed string // the one code, where no dimension is behind it or none is named
}

// An axisOf is a place where the codes of an axis stand in the table.
type axisOf struct {
	dimension *gateway.Dimension
	column    int    // in Cell.Nodes, or -1
	filter    string // where column is -1
}

// A dataflow is a table as SDMX has it.
type dataflow struct {
	id        string
	title     gateway.Text
	indicator string
	unit      code
	axes      []axis
}

func newDataflow(d *Document) (*dataflow, error) {
	t, cube := d.Table, d.Definition.Cube(d.Table.Cube)
	flow := dataflow{
		id:        "DF_" + upper(d.Definition.Lineage) + "_" + upper(cube.ID),
		title:     cube.Title,
		indicator: upper(cube.ID) + "_" + upper(string(t.Measure)),
		unit:      code{"NUMBER", gateway.Text{KK: "Сан", RU: "Число", EN: "Number"}},
	}
	if t.Measure == gateway.CountChildren {
		flow.unit = code{"PS", gateway.Text{KK: "Адам", RU: "Человек", EN: "Persons"}}
	}
	named := gateway.Text{KK: suffix(cube.Title.KK, t.Measure), RU: suffix(cube.Title.RU, t.Measure), EN: suffix(cube.Title.EN, t.Measure)}
	flow.axes = []axis{{
		id: "INDICATOR", title: gateway.Text{KK: "Көрсеткіш", RU: "Показатель", EN: "Indicator"},
		fixed: flow.indicator, codes: []code{{flow.indicator, named}},
	}}
	period := axis{id: "TIME_PERIOD", title: gateway.Text{KK: "Кезең", RU: "Период", EN: "Time period"}, fixed: window(d.Definition)}
	for _, name := range cube.Dimensions {
		dim := d.Definition.Dimension(name)
		of, fixed, err := place(t, dim)
		if err != nil {
			return nil, err
		}
		if timed(dim) {
			if of.column < 0 && of.filter == "" {
				continue
			}
			period.of = append(period.of, of)
			period.fixed = fixed
			continue
		}
		flow.axes = append(flow.axes, axis{id: axisID(dim.Name), title: dim.Title, of: []axisOf{of}, fixed: fixed})
	}
	if len(period.of) > 1 {
		return nil, gateway.Errorf(gateway.Invalid, "this format has one time period a number: ask by quarters or by years, not by both")
	}
	flow.axes = append(flow.axes, period)
	for i := range flow.axes {
		flow.axes[i].list(t)
	}
	return &flow, nil
}

func suffix(title string, measure gateway.Measure) string {
	if title == "" {
		return ""
	}
	return title + ": " + string(measure)
}

func timed(dim *gateway.Dimension) bool {
	return dim.Source.Kind == gateway.EventQuarter || dim.Source.Kind == gateway.EventYear
}

// place finds where a table has a dimension: in a column, in the filter or nowhere.
func place(t *gateway.Table, dim *gateway.Dimension) (axisOf, string, error) {
	if dim == nil {
		return axisOf{}, "", gateway.Errorf(gateway.Invalid, "the release's definition lacks a dimension of the cube")
	}
	column := slices.Index(t.Dimensions, dim.Name)
	of := axisOf{dimension: dim, column: column}
	if node, filtered := t.Filter[dim.Name]; filtered {
		of.filter = node
		if column < 0 {
			return of, codeID(dim, node), nil
		}
	}
	return of, total, nil
}

// list collects the codes that occur.
func (a *axis) list(t *gateway.Table) {
	if a.codes != nil {
		return
	}
	if len(a.of) == 0 || a.of[0].column < 0 {
		a.codes = []code{{a.fixed, a.titled(a.fixed)}}
		return
	}
	occurs := map[string]bool{}
	for _, c := range t.Cells {
		occurs[c.Nodes[a.of[0].column]] = true
	}
	dim := a.of[0].dimension
	for _, n := range dim.Nodes {
		if occurs[n.Code] {
			a.codes = append(a.codes, code{codeID(dim, n.Code), n.Title})
			delete(occurs, n.Code)
		}
	}
	rest := make([]string, 0, len(occurs))
	for c := range occurs {
		rest = append(rest, c)
	}
	slices.Sort(rest)
	for _, c := range rest {
		a.codes = append(a.codes, code{codeID(dim, c), gateway.Text{EN: c}})
	}
}

func (a *axis) titled(id string) gateway.Text {
	if id == total {
		return gateway.Text{KK: "Барлығы", RU: "Всего", EN: "Total"}
	}
	if len(a.of) > 0 {
		if n := a.of[0].dimension.Node(a.of[0].filter); n != nil {
			return n.Title
		}
	}
	return gateway.Text{EN: id}
}

// at returns the code of a cell on the axis.
func (a *axis) at(c gateway.Cell) string {
	if len(a.of) == 0 || a.of[0].column < 0 {
		return a.fixed
	}
	return codeID(a.of[0].dimension, c.Nodes[a.of[0].column])
}

// axisID is the id of a dimension: UNICEF's where it has one (domain.md 2.3).
func axisID(name string) string {
	switch name {
	case "region":
		return "REF_AREA"
	case "age_first":
		return "AGE"
	case "indicator", "time_period", "obs_value", "unit_measure", "obs_status", "conf_status", "noise_sd",
		"release", "release_digest", "policy", "decision", "answer_digest", "notice", "proof":
		return "DIM_" + upper(name)
	}
	return upper(name)
}

func upper(id string) string {
	return strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(id))
}

// codeID spells a code so that SDMX can hold it: [A-Za-z0-9_@$-]+. Regions get their
// code of ISO 3166-2, which is KZ- and the first two digits of KATO; quarters are
// written 2025-Q3; and in any other code a character that SDMX does not allow is $
// and its two hexadecimal digits, byte for byte.
func codeID(dim *gateway.Dimension, node string) string {
	switch {
	case dim.Source.Kind == gateway.EventQuarter && len(node) == 6:
		return node[:4] + "-" + node[4:]
	case dim.Name == "region" && len(node) == 2 && strings.Trim(node, "0123456789") == "":
		return "KZ-" + node
	}
	var b strings.Builder
	for i := range len(node) {
		c := node[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-' && i > 0:
			b.WriteByte(c)
		default:
			_, _ = fmt.Fprintf(&b, "$%02X", c)
		}
	}
	return b.String()
}

// window is the release's window as a time range of SDMX: its first day and its length.
func window(def *gateway.Definition) string {
	quarters := int(def.To-def.From) + 1
	first := int(def.From % 4)
	if first == 0 && quarters == 4 {
		return strconv.Itoa(int(def.From) / 4)
	}
	if quarters == 1 {
		return fmt.Sprintf("%04d-Q%d", int(def.From)/4, first+1)
	}
	return fmt.Sprintf("%04d-%02d-01/P%dM", int(def.From)/4, first*3+1, quarters*3)
}

// The statuses of observations, of UNICEF's CL_OBS_STATUS, and of confidentiality, of
// the SDMX cross-domain code list (domain.md 2.3). A hidden cell is C, confidential,
// and neither A (primary) nor D (secondary): which of the two is what must not be told.
func statuses() []code {
	return []code{
		{"A", gateway.Text{KK: "Қалыпты мән", RU: "Обычное значение", EN: "Normal value"}},
		{"Q", gateway.Text{KK: "құпиялылық үшін жасырылған", RU: "скрыто в целях конфиденциальности", EN: "Missing value; suppressed"}},
		{"M", gateway.Text{KK: "Мән жоқ; дерек болуы мүмкін емес", RU: "Значения нет; данных не может быть", EN: "Missing value; data cannot exist"}},
		{"L", gateway.Text{KK: "деректер ұсынылмаған", RU: "данные не представлены", EN: "Missing value; data exist but were not collected"}},
	}
}

func confidentialities() []code {
	return []code{
		{"F", gateway.Text{KK: "Жариялауға еркін", RU: "Свободно для публикации", EN: "Free (free for publication)"}},
		{"C", gateway.Text{KK: "Құпия статистикалық ақпарат", RU: "Конфиденциальная статистическая информация", EN: "Confidential statistical information"}},
	}
}

// status returns the places of a cell's status in [statuses] and [confidentialities].
func status(c gateway.Cell) (obs, conf int) {
	switch c.Status {
	case gateway.StatusValue:
		return 0, 0
	case gateway.StatusImpossible:
		return 2, 0
	case gateway.StatusNotReported:
		return 3, 0
	case gateway.StatusSuppressed:
	}
	return 1, 1
}
