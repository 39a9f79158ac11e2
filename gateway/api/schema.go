package api

import (
	"encoding"
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"strings"
	"time"
)

// schemas makes JSON schemas (2020-12) of Go types as encoding/json writes them, so
// that what is promised of an answer is what is encoded. Each named structure is a
// component by the name of its type, with that of its package before it where two
// share one.
type schemas struct {
	made  map[string]any          // by name
	names map[reflect.Type]string // of those in made
}

func newSchemas() *schemas { return &schemas{map[string]any{}, map[reflect.Type]string{}} }

var (
	timeType = reflect.TypeFor[time.Time]()
	rawType  = reflect.TypeFor[json.RawMessage]()
	jsonType = reflect.TypeFor[json.Marshaler]()
	textType = reflect.TypeFor[encoding.TextMarshaler]()
)

// of returns the schema of a type.
func (s *schemas) of(t reflect.Type) any {
	switch {
	case t == timeType:
		return map[string]any{"type": "string", "format": "date-time"}
	case t == rawType || t.Kind() == reflect.Interface:
		return map[string]any{} // anything
	case t.Implements(jsonType) && t.Kind() == reflect.Struct:
		return map[string]any{"type": "number"} // gateway.Decimal, the only one
	case t.Implements(textType):
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return map[string]any{"type": "string", "contentEncoding": "base64"}
		}
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Array:
		return map[string]any{"type": "array", "items": s.of(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.structure(t)
	default:
		return map[string]any{"type": "integer"}
	}
}

// structure returns a reference to the component of a structure, which it makes; one
// without a name stands where it is used.
func (s *schemas) structure(t reflect.Type) any {
	if t.Name() == "" {
		return s.object(t)
	}
	name, made := s.names[t]
	if !made {
		name = t.Name()
		if _, taken := s.made[name]; taken {
			name = path.Base(t.PkgPath()) + "." + name
		}
		s.name(name, t)
	}
	return map[string]any{"$ref": "#/components/schemas/" + name}
}

// name makes the component of a type under a name.
func (s *schemas) name(name string, t reflect.Type) {
	s.names[t], s.made[name] = name, nil // a structure may hold itself
	s.made[name] = s.object(t)
}

func (s *schemas) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	s.fields(t, properties, &required)
	object := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		object["required"] = required
	}
	return object
}

// fields adds the fields of a structure and of those embedded in it, which the outer
// ones hide.
func (s *schemas) fields(t reflect.Type, properties map[string]any, required *[]string) {
	for _, embedded := range []bool{false, true} {
		for f := range t.Fields() {
			tag, tagged := f.Tag.Lookup("json")
			name, options, _ := strings.Cut(tag, ",")
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			inside := f.Anonymous && name == "" && inner.Kind() == reflect.Struct
			switch {
			case inside != embedded || tag == "-" || !f.IsExported() && !inside:
			case inside:
				s.fields(inner, properties, required)
			case !tagged || name == "":
				s.field(f.Name, options, f.Type, properties, required)
			default:
				s.field(name, options, f.Type, properties, required)
			}
		}
	}
}

func (s *schemas) field(name, options string, t reflect.Type, properties map[string]any, required *[]string) {
	if _, hidden := properties[name]; hidden {
		return
	}
	schema := s.of(t)
	if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
		*required = append(*required, name)
		schema = orNull(schema, t)
	}
	properties[name] = schema
}

// orNull lets null be where encoding/json writes it: for what is nil and not left out.
func orNull(schema any, t reflect.Type) any {
	m, _ := schema.(map[string]any)
	switch {
	case t.Kind() != reflect.Pointer && t.Kind() != reflect.Slice && t.Kind() != reflect.Map || len(m) == 0:
		return schema
	case m["type"] != nil:
		m["type"] = []any{m["type"], "null"}
		return m
	}
	return map[string]any{"anyOf": []any{m, map[string]any{"type": "null"}}}
}

// over lays what is written by hand over what was made. It reports what is not there.
func over(made map[string]any, written map[string]any) error {
	for key, value := range written {
		from, isMap := value.(map[string]any)
		inner, has := made[key]
		to, fits := inner.(map[string]any)
		switch {
		case isMap && fits:
			if err := over(to, from); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		case isMap && !has:
			return fmt.Errorf("%s: there is no such schema or property", key)
		default:
			made[key] = value
		}
	}
	return nil
}
