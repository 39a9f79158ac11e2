package main

import (
	"errors"
	"fmt"
	"html/template"
	"io"
	"strings"
)

// oversightPage is the report for print: one file, without scripts, fonts or links. Its
// style is in the page, so that it prints the same wherever it lies.
var oversightPage = template.Must(template.New("report").Parse(`<!DOCTYPE html>
<html lang="{{.Lang}}">
<head>
<meta charset="utf-8">
<title>{{.Title}}</title>
<style>
body { font: 11pt serif; margin: 2cm; }
h1 { font-size: 15pt; }
h2 { font-size: 12pt; }
table { border-collapse: collapse; }
td { border: 1px solid #888; padding: 0.2em 0.6em; }
td.n { text-align: right; }
tr { break-inside: avoid; }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
<h2>{{.Questions}}</h2>
<table>
{{range .Report.Questions}}<tr><td>{{.Key}}</td><td>{{.Release}}</td><td>{{.Purpose}}</td><td class="n">{{.Allowed}}</td><td class="n">{{.Denied}}</td></tr>
{{end}}</table>
<h2>{{.Events}}</h2>
<table>
{{range .Report.Events}}<tr><td>{{.Event}}</td><td>{{.Outcome}}</td><td class="n">{{.Count}}</td></tr>
{{end}}</table>
<p>{{.Erasures}}</p>
<h2>{{.Alarms}}</h2>
<table>
{{range .Report.Alarms}}<tr><td>{{.At.Format "2006-01-02T15:04:05Z07:00"}}</td><td>{{.Event}}</td></tr>
{{end}}</table>
</body>
</html>
`))

// writeOversightPage writes the report as a page for print.
func writeOversightPage(w io.Writer, o oversight, lang string) error {
	words := oversightWords[lang]
	var page strings.Builder
	err := oversightPage.Execute(&page, map[string]any{
		"Lang": lang, "Report": o, "Title": fmt.Sprintf(words[0], o.From, o.To), "Questions": words[1], "Events": words[2],
		"Erasures": fmt.Sprintf(words[3], o.Erasures), "Alarms": words[4],
	})
	if err != nil {
		return errors.New("the report cannot be written as a page")
	}
	_, err = io.WriteString(w, page.String())
	return err
}
