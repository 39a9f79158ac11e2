package main

import (
	"slices"
	"testing"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/pipelines"
)

// Every problem code has a message in every language, and there is no message for
// what is no code.
func TestEveryCodeHasAMessage(t *testing.T) {
	codes := pipelines.Codes()
	for _, lang := range []string{"kk", "ru"} {
		said, err := configs.MessageCodes(lang)
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range codes {
			if !slices.Contains(said, code) {
				t.Errorf("%s has no message for %s", lang, code)
			}
		}
		for _, code := range said {
			if !slices.Contains(codes, code) {
				t.Errorf("%s has a message for %s, which is no code", lang, code)
			}
		}
	}
}
