package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/synth"
)

func (c *cli) synthCommand() *cobra.Command {
	var o synth.Options
	var out string
	command := &cobra.Command{
		Use:   "synth --children N --seed S --out DIR",
		Short: "Write synthetic sector files with their truth, for tests, demos and benchmarks",
		Long: `Write police.csv, health.csv, education.csv, social.csv, justice.csv, helpline.csv
and truth.json: a synthetic country whose exact answers are known. The same seed
gives the same bytes. No record is of a real child.`,
		Example: "  pana synth --children 20000 --seed 1 --out synthetic",
		RunE: func(*cobra.Command, []string) error {
			if o.Children < 1 || o.Children > synth.MaxChildren || !(o.Dirty >= 0 && o.Dirty <= 0.5) {
				return usageError{fmt.Errorf("--children is 1 to %d, --dirty from 0 to 0.5", synth.MaxChildren)}
			}
			country, err := newCountry(o)
			if err != nil {
				return err
			}
			err = writeCountry(country, out)
			if err != nil {
				return err
			}
			counts, err := country.Counts()
			if err != nil {
				return err
			}
			return c.print(counts, func(w io.Writer) error {
				records := 0
				for _, n := range counts.Records {
					records += n
				}
				_, err := fmt.Fprintf(w, "%d records of %d children in %s\n", records, counts.Children, out)
				return err
			})
		},
	}
	f := command.Flags()
	f.IntVar(&o.Children, "children", 20000, "how many children")
	f.Uint64Var(&o.Seed, "seed", 1, "the same seed gives the same files")
	f.StringVar(&out, "out", "synthetic", "directory to write to; made if need be")
	f.Float64Var(&o.Dirty, "dirty", 0, "share of lines with a fault")
	return command
}

// newCountry makes a country over the built-in contracts.
func newCountry(o synth.Options) (*synth.Country, error) {
	contracts, err := configs.Contracts()
	if err != nil {
		return nil, err
	}
	o.Contracts = contracts
	return synth.New(o)
}

// writeCountry writes the sector files and truth.json into a directory.
func writeCountry(country *synth.Country, dir string) (err error) {
	err = os.MkdirAll(dir, 0o750)
	if err != nil {
		return usageError{errors.New("the directory cannot be made: " + dir)}
	}
	var files []*outFile
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.close())
		}
	}()
	create := func(name string) (*outFile, error) {
		f, err := os.Create(filepath.Join(dir, filepath.Base(name))) //nolint:gosec // the user names the directory
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", name, err)
		}
		o := &outFile{bufio.NewWriterSize(f, 1<<20), f}
		files = append(files, o)
		return o, nil
	}
	err = country.Write(func(id gateway.ContractID) (io.Writer, error) { return create(string(id) + ".csv") })
	if err != nil {
		return err
	}
	d, err := configs.Definition("demo")
	if err != nil {
		return err
	}
	truth, err := country.Truth(d, nil)
	if err != nil {
		return err
	}
	f, err := create("truth.json")
	if err != nil {
		return err
	}
	return truth.WriteJSON(f)
}

type outFile struct {
	*bufio.Writer
	file *os.File
}

func (o *outFile) close() error { return errors.Join(o.Flush(), o.file.Close()) }
