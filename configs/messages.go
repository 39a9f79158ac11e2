package configs

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"

	"github.com/pana-exchange/pana/gateway"
)

// messageFile is one file of messages/.
type messageFile struct {
	Status   string                         `yaml:"status"`
	Messages map[gateway.ProblemCode]string `yaml:"messages"`
}

var embeddedMessages = sync.OnceValues(func() (map[string]messageFile, error) { return loadMessages(embedded) })

// loadMessages reads the catalogue of every language but English, which is where
// the codes are.
func loadMessages(fsys fs.FS) (map[string]messageFile, error) {
	found := &problems{}
	all := map[string]messageFile{}
	for _, lang := range []string{"kk", "ru"} {
		var file messageFile
		name := path.Join("messages", lang+".yaml")
		doc := open(fsys, name, &file, found)
		if doc == nil {
			continue
		}
		if file.Status != "provisional" && file.Status != "official" {
			doc.top().at("status").bad("status %q is neither provisional nor official", file.Status)
		}
		all[lang] = file
	}
	return all, found.err()
}

// Message returns what a problem code means in a language, kk or ru, and "" where
// the catalogue has no message.
func Message(code gateway.ProblemCode, lang string) string {
	all, err := embeddedMessages()
	if err != nil {
		return ""
	}
	return all[lang].Messages[code]
}

// MessageCodes returns the codes that have a message in a language.
func MessageCodes(lang string) ([]gateway.ProblemCode, error) {
	all, err := embeddedMessages()
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(all[lang].Messages)), nil
}
