package output

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// The messages of SDMX-JSON 2.1.0 (json.sdmx.org/2.1/sdmx-json-data-schema.json), as
// far as a table needs them.
type (
	message struct {
		Schema string      `json:"$schema"`
		Meta   messageMeta `json:"meta"`
		Data   messageData `json:"data"`
	}
	messageMeta struct {
		ID        string   `json:"id"`
		Test      bool     `json:"test"`
		Prepared  string   `json:"prepared"`
		Languages []string `json:"contentLanguages"`
		Sender    named    `json:"sender"`
	}
	messageData struct {
		Structures []structure `json:"structures"`
		DataSets   []dataSet   `json:"dataSets"`
	}
	named struct {
		ID    string            `json:"id,omitempty"`
		Name  string            `json:"name,omitempty"`
		Names map[string]string `json:"names,omitempty"`
	}
	structure struct {
		named

		DataSets   []int        `json:"dataSets"`
		Links      []link       `json:"links"`
		Dimensions components   `json:"dimensions"`
		Measures   components   `json:"measures"`
		Attributes components   `json:"attributes"`
		Notes      []annotation `json:"annotations,omitempty"`
	}
	link struct {
		URN string `json:"urn"`
		Rel string `json:"rel"`
	}
	annotation struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	components struct {
		DataSet     []component `json:"dataSet,omitempty"`
		Observation []component `json:"observation,omitempty"`
	}
	component struct {
		named

		Position     *int                       `json:"keyPosition,omitempty"`
		Roles        []string                   `json:"roles,omitempty"`
		Relationship map[string]json.RawMessage `json:"relationship,omitempty"`
		Values       []named                    `json:"values,omitempty"`
	}
	dataSet struct {
		Structure    int              `json:"structure"`
		Action       string           `json:"action"`
		Notes        []int            `json:"annotations,omitempty"`
		Attributes   []any            `json:"attributes"`
		Observations map[string][]any `json:"observations"`
	}
)

// writeSDMXJSON writes a flat data message: every dimension is of the observation.
// Its names are in every language that the definition has.
func writeSDMXJSON(w io.Writer, d *Document) error {
	flow, err := newDataflow(d)
	if err != nil {
		return err
	}
	m := message{
		Schema: "https://json.sdmx.org/2.1/sdmx-json-data-schema.json",
		Meta: messageMeta{
			ID: upper(string(d.Table.Release)) + "_" + d.Table.Decision, Prepared: d.Built.UTC().Format(time.RFC3339),
			Languages: []string{"en", "ru", "kk"}, Sender: named{ID: agency},
		},
		Data: messageData{Structures: []structure{flow.structure(d)}, DataSets: []dataSet{flow.dataSet(d)}},
	}
	return json.NewEncoder(w).Encode(m)
}

func entitled(id string, t gateway.Text) named {
	names := map[string]string{}
	for lang, name := range map[string]string{"en": t.EN, "ru": t.RU, "kk": t.KK} {
		if name != "" {
			names[lang] = name
		}
	}
	if t.EN == "" {
		t.EN = id
	}
	return named{ID: id, Name: t.EN, Names: names}
}

func list(codes []code) []named {
	values := make([]named, len(codes))
	for i, c := range codes {
		values[i] = entitled(c.id, c.title)
	}
	return values
}

func (f *dataflow) structure(d *Document) structure {
	s := structure{
		named: entitled("", f.title), DataSets: []int{0},
		Links: []link{{URN: fmt.Sprintf("urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=%s:%s(%s)", agency, f.id, version), Rel: "dataflow"}},
	}
	for i, a := range f.axes {
		c := component{named: entitled(a.id, a.title), Position: &i, Values: list(a.codes)}
		if a.id == "TIME_PERIOD" {
			c.Roles = []string{a.id}
		}
		s.Dimensions.Observation = append(s.Dimensions.Observation, c)
	}
	s.Measures.Observation = []component{{named: entitled("OBS_VALUE", gateway.Text{KK: "Мән", RU: "Значение", EN: "Observation value"})}}
	whole, each := map[string]json.RawMessage{"dataflow": json.RawMessage("{}")}, map[string]json.RawMessage{"observation": json.RawMessage("{}")}
	s.Attributes.DataSet = []component{{
		named:        entitled("UNIT_MEASURE", gateway.Text{KK: "Өлшем бірлігі", RU: "Единица измерения", EN: "Unit of measure"}),
		Relationship: whole, Values: list([]code{f.unit}),
	}}
	for _, c := range d.citation() {
		s.Attributes.DataSet = append(s.Attributes.DataSet, component{named: entitled(c.id, c.title), Relationship: whole})
	}
	s.Attributes.Observation = []component{
		{named: entitled("OBS_STATUS", gateway.Text{KK: "Бақылау мәртебесі", RU: "Статус наблюдения", EN: "Observation status"}), Relationship: each, Values: list(statuses())},
		{named: entitled("CONF_STATUS", gateway.Text{KK: "Құпиялылық мәртебесі", RU: "Статус конфиденциальности", EN: "Confidentiality status"}), Relationship: each, Values: list(confidentialities())},
		{named: entitled("NOISE_SD", gateway.Text{KK: "Шудың стандартты ауытқуы", RU: "Стандартное отклонение шума", EN: "Standard deviation of the noise"}), Relationship: each},
	}
	for _, note := range d.Table.Notes {
		s.Notes = append(s.Notes, annotation{Type: "NOTE", Text: note})
	}
	return s
}

func (f *dataflow) dataSet(d *Document) dataSet {
	set := dataSet{Action: "Information", Attributes: []any{0}, Observations: map[string][]any{}}
	for _, c := range d.citation() {
		set.Attributes = append(set.Attributes, c.value)
	}
	for i := range d.Table.Notes {
		set.Notes = append(set.Notes, i)
	}
	for _, c := range d.Table.Cells {
		key := make([]string, len(f.axes))
		for i, a := range f.axes {
			at := a.at(c)
			key[i] = strconv.Itoa(slices.IndexFunc(a.codes, func(c code) bool { return c.id == at }))
		}
		obs, conf := status(c)
		set.Observations[strings.Join(key, ":")] = []any{numeric(d.figure(c).value), obs, conf, numeric(d.deviation(c))}
	}
	return set
}

// numeric is a number of JSON, or null for no number.
func numeric(text string) any {
	if text == "" {
		return nil
	}
	return json.Number(text)
}
