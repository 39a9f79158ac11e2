package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// A bar draws the progress of one task on a terminal, at most ten times a
// second; elsewhere it draws nothing until it is done.
type bar struct {
	c     *cli
	name  string
	total int64
	done  int64
	from  int64 // what was done at the start, or had to be done again
	start time.Time
	drawn time.Time
}

func (c *cli) bar(name string, total int64) *bar {
	const most = 20 // so that the bar fits a line of 80
	if runes := []rune(name); len(runes) > most {
		name = string(runes[:most-1]) + "…"
	}
	return &bar{c: c, name: name, total: total, start: c.now()}
}

func (b *bar) set(done int64) {
	now := b.c.now()
	if done < b.done || b.done == 0 { // it begins, or goes back
		b.from, b.start = done, now
	}
	b.done = done
	if b.c.asJSON || !b.c.terminal() || now.Sub(b.drawn) < 100*time.Millisecond {
		return
	}
	b.drawn = now
	const width = 20
	filled := 0
	if b.total > 0 {
		filled = int(min(b.done, b.total) * width / b.total)
	}
	left := ""
	if took := now.Sub(b.start); b.done > b.from && b.total > b.done && took > time.Second {
		rate := float64(b.done-b.from) / took.Seconds()
		rest := time.Duration(float64(b.total-b.done) / rate * float64(time.Second))
		left = fmt.Sprintf("%s/s, %s left", amount(rate), rest.Round(time.Second))
	}
	_, _ = fmt.Fprintf(b.c.err, "\r  %-12s %s%s %3d%% %-26s", b.name,
		strings.Repeat("█", filled), strings.Repeat("░", width-filled), percent(b.done, b.total), left)
}

// end replaces the bar by one line that says how it ended.
func (b *bar) end(format string, args ...any) {
	if b.c.asJSON {
		return
	}
	b.clear()
	b.c.say("  %-12s %s", b.name, fmt.Sprintf(format, args...))
}

// clear takes the bar away, for a line to stand there.
func (b *bar) clear() {
	if !b.c.asJSON && b.c.terminal() {
		_, _ = fmt.Fprintf(b.c.err, "\r%s\r", strings.Repeat(" ", 78))
	}
}

// amount writes bytes for people.
func amount(bytes float64) string {
	units := []string{"B", "KiB", "MiB", "GiB"}
	for bytes >= 1024 && len(units) > 1 {
		bytes /= 1024
		units = units[1:]
	}
	return fmt.Sprintf("%.1f %s", bytes, units[0])
}

func percent(done, total int64) int64 {
	if total <= 0 {
		return 100
	}
	return min(done, total) * 100 / total
}

// through counts what is read through it.
type through struct {
	io.Reader
	count func(n int64)
}

func (t through) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	t.count(int64(n))
	return n, err
}
