package policies

import (
	"cmp"

	"github.com/pana-exchange/pana/gateway"
)

// Words of policies for what a contract says of a field.
var (
	typeNames = map[gateway.FieldType]string{
		gateway.TypeText: "text", gateway.TypeIdentifier: "identifier", gateway.TypeIIN: "iin", gateway.TypeCode: "code",
		gateway.TypeDate: "date", gateway.TypeBirthDate: "birth_date", gateway.TypeAge: "age", gateway.TypeInteger: "integer",
	}
	roleNames = map[gateway.FieldRole]string{
		gateway.RoleDirect: "direct", gateway.RoleQuasi: "quasi", gateway.RoleSensitive: "sensitive",
		gateway.RoleMeasure: "measure", gateway.RoleAdmin: "admin",
	}
)

// object is a closed JSON schema of an object.
func object(properties map[string]any) map[string]any {
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

func list(items map[string]any) map[string]any {
	return map[string]any{"type": "array", "items": items}
}

var (
	text    = map[string]any{"type": "string"}
	number  = map[string]any{"type": "number"}
	truth   = map[string]any{"type": "boolean"}
	unknown = map[string]any{}
)

// inputSchema describes what the policies are asked with, all questions in one:
// a policy that misspells a key does not compile. Row rules are typed again,
// against each contract, when its plan is made.
var inputSchema any = object(map[string]any{
	"contract": object(map[string]any{
		"id": text, "version": number,
		"fields": list(object(map[string]any{
			"name": text, "type": text, "role": text, "class": text, "multi": truth, "event": truth, "required": truth,
			"refused": truth, "stored": truth, "min": number, "max": number,
			"list": object(map[string]any{"id": text, "status": text, "codes": number, "length": number}),
		})),
	}),
	"definition": object(map[string]any{
		"lineage": text, "from": text, "to": text, "variance": number, "profile": text,
		"dimensions": list(object(map[string]any{
			"name": text, "kind": text, "levels": list(text), "nodes": number, "sensitive": truth, "omitted": text,
		})),
		"cubes": list(object(map[string]any{
			"id": text, "grain": text, "dimensions": list(text), "cap": number, "measures": list(text),
			"values": list(text),
		})),
		"values": list(object(map[string]any{
			"id": text, "sector": text, "column": text, "per_child": text, "min": number, "max": number, "precision": number, "dominance": truth,
		})),
	}),
	"role": text, "action": text, "purpose": text, "purposes": list(text),
	"release": object(map[string]any{"state": text}),
	"record":  unknown, "batch": unknown,
})

// contractInput is the question about a contract. It names fields and lists, and
// holds no code and no text of them.
func contractInput(c *gateway.Contract) map[string]any {
	fields := make([]any, len(c.Fields))
	for i := range c.Fields {
		f := &c.Fields[i]
		field := map[string]any{
			"name": string(f.Name), "type": typeNames[f.Type], "role": roleNames[f.Role], "class": f.Class,
			"multi": f.Multi, "event": f.Event, "required": f.Required, "refused": f.Refused, "stored": f.Column != "",
			"min": f.Min, "max": f.Max,
		}
		if f.List != nil {
			field["list"] = map[string]any{
				"id": string(f.List.ID), "status": f.List.Status, "codes": len(f.List.Codes), "length": f.List.Length(),
			}
		}
		fields[i] = field
	}
	return map[string]any{"contract": map[string]any{"id": string(c.ID), "version": c.Version, "fields": fields}}
}

// definitionInput is the question about a release: its shape, never a count.
func definitionInput(d *gateway.Definition) map[string]any {
	dimensions := make([]any, len(d.Dimensions))
	for i := range d.Dimensions {
		dim := &d.Dimensions[i]
		dimensions[i] = map[string]any{
			"name": dim.Name, "kind": string(dim.Kind), "levels": dim.Levels, "nodes": len(dim.Nodes),
			"sensitive": dim.Sensitive, "omitted": dim.Omitted,
		}
	}
	cubes := make([]any, len(d.Cubes))
	for i := range d.Cubes {
		c := &d.Cubes[i]
		cubes[i] = map[string]any{"id": c.ID, "grain": string(c.Grain), "dimensions": c.Dimensions, "cap": c.Cap, "measures": c.Measures, "values": append([]string{}, c.Values...)}
	}
	values := make([]any, len(d.Values))
	for i, v := range d.Values {
		values[i] = map[string]any{
			"id": v.ID, "sector": string(v.Sector), "column": v.Column, "per_child": string(v.PerChild),
			"min": v.Min, "max": v.Max, "precision": v.Precision, "dominance": v.Dominance,
		}
	}
	return map[string]any{"definition": map[string]any{
		"lineage": d.Lineage, "from": d.From.String(), "to": d.To.String(), "variance": d.V, "profile": cmp.Or(string(d.Profile), "interactive"),
		"dimensions": dimensions, "cubes": cubes, "values": values,
	}}
}

// recordSchema types the input of a contract's row rules: codes and dates as
// text, counts and what is derived as numbers, and nothing else. Identifiers and
// text are not there to be named.
func recordSchema(c *gateway.Contract) map[string]any {
	record := map[string]any{string(gateway.DerivedAge): number, string(gateway.DerivedDays): number}
	for i := range c.Fields {
		f := &c.Fields[i]
		switch {
		case !inRecord(f):
		case f.Type == gateway.TypeInteger:
			record[string(f.Name)] = number
		case f.Multi:
			record[string(f.Name)] = list(text)
		default:
			record[string(f.Name)] = text
		}
	}
	return object(map[string]any{
		"record": object(record),
		"batch":  object(map[string]any{"period_from": text, "period_to": text, "kind": text}),
	})
}

// inRecord reports whether row rules see a field.
func inRecord(f *gateway.Field) bool {
	switch f.Type {
	case gateway.TypeCode, gateway.TypeDate, gateway.TypeInteger:
		return !f.Refused
	case gateway.TypeText, gateway.TypeIdentifier, gateway.TypeIIN, gateway.TypeBirthDate, gateway.TypeAge:
	}
	return false
}
