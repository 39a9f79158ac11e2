package tabular

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// What the reader of sheets takes for the text of an element, encoding/xml does
// too, or refuses the document.
func FuzzXML(f *testing.F) {
	for _, seed := range []string{
		`<?xml version="1.0"?><a><t>x &amp; y</t></a>`, `<a><!-- > --><x:t q="&lt;>">ж&#x41;</x:t><t/></a>`, `<t xml:space="preserve"> x </t>`, `<t>a<b/>c</t>`, `<t>&e;</t>`,
		`<!DOCTYPE t><t>1</t>`, `<t><![CDATA[1]]></t>`, `<t>1`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := textsHere(t.Context(), data)
		if err != nil || bytes.Contains(data, []byte("<:")) || bytes.Contains(data, []byte("</:")) { // a name that only starts with a colon
			return
		}
		want, err := textsThere(data)
		if err == nil && !slices.Equal(got, want) {
			t.Fatalf("%q: %q, want %q", data, got, want)
		}
	})
}

// textsHere are the texts in front of the ends of elements t.
func textsHere(ctx context.Context, data []byte) (texts []string, err error) {
	x := newXMLReader(bytes.NewReader(data))
	for {
		text, tag, err := x.next(ctx)
		if errors.Is(err, io.EOF) {
			return texts, nil
		}
		if err != nil {
			return nil, err
		}
		if local, opens, _ := element(tag); string(local) == "t" && !opens {
			clean, err := unescape(nil, text)
			if err != nil {
				return nil, err
			}
			texts = append(texts, strings.ReplaceAll(strings.ReplaceAll(string(clean), "\r\n", "\n"), "\r", "\n"))
		}
	}
}

func textsThere(data []byte) (texts []string, err error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	last, empty := "", false
	for {
		at := d.InputOffset()
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.CharData:
			last += string(token)
		case xml.StartElement:
			last, empty = "", data[d.InputOffset()-2] == '/'
		case xml.EndElement:
			if token.Name.Local == "t" && (!empty || at != d.InputOffset()) {
				texts = append(texts, strings.ReplaceAll(strings.ReplaceAll(last, "\r\n", "\n"), "\r", "\n"))
			}
			last, empty = "", false
		}
	}
}
