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
	b.done = done
	now := b.c.now()
	if b.c.asJSON || !b.c.terminal() || now.Sub(b.drawn) < 100*time.Millisecond {
		return
	}
	b.drawn = now
	const width = 30
	filled := 0
	if b.total > 0 {
		filled = int(min(b.done, b.total) * width / b.total)
	}
	left := ""
	if took := now.Sub(b.start); b.done > 0 && b.total > b.done && took > time.Second {
		left = fmt.Sprintf("%s left", (took * time.Duration(b.total-b.done) / time.Duration(b.done)).Round(time.Second))
	}
	_, _ = fmt.Fprintf(b.c.err, "\r  %-12s %s%s %3d%% %-12s", b.name,
		strings.Repeat("█", filled), strings.Repeat("░", width-filled), percent(b.done, b.total), left)
}

// end replaces the bar by one line that says how it ended.
func (b *bar) end(format string, args ...any) {
	if b.c.asJSON {
		return
	}
	if b.c.terminal() {
		_, _ = fmt.Fprintf(b.c.err, "\r%s\r", strings.Repeat(" ", 76))
	}
	b.c.say("  %-12s %s", b.name, fmt.Sprintf(format, args...))
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
