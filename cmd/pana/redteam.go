package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/pipelines/redteam"
)

func (c *cli) redteamCommand() *cobra.Command {
	var flags clientFlags
	var population string
	var live liveAttack
	o := redteam.Options{Now: c.now}
	command := &cobra.Command{
		Use:   "redteam",
		Short: "Attack a release of synthetic children, with their truth (test environments)",
		Long: `Make synthetic populations with planted victims, publish them without protection,
by the ONS 10-5 rule, by a single-layer cell key and by the default, and run every
attack on each. The table gives each attack's measure with its 95 % interval over
noise keys and says whether the default meets its bar, and whether the attack breaks
what it is known to break.

No record is of a real child, and no gateway is needed. With --release a release of
a test environment is attacked instead, by a researcher's questions alone: one that
"pana demo" or "pana synth" filled with the children and the seed given. Exit code 1
when a bar is missed or an attack is broken.`,
		Example: `  pana redteam --population dense --keys 10
  pana redteam --release demo-1 --children 20000 --seed 1 --purpose policy-evaluation`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if live.release != "" {
				live.seed = o.Seed
				return c.attackRelease(cmd.Context(), flags, live)
			}
			if o.Keys < redteam.MinKeys {
				return usageError{fmt.Errorf("--keys is %d or more", redteam.MinKeys)}
			}
			if population != "all" {
				if !slices.Contains(redteam.Populations(), population) {
					return usageError{fmt.Errorf("--population is one of %v, or all", redteam.Populations())}
				}
				o.Populations = []string{population}
			}
			bar := c.bar("attacks", 1)
			o.Progress = func(done, total int, _ string) {
				bar.total = int64(total)
				bar.set(int64(done))
			}
			report, err := redteam.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			bar.end("%d populations and the grid", len(report.Sections)-1)
			err = c.print(report, report.WriteText)
			if err == nil && !report.Passed {
				err = refusal{errors.New(report.Verdict())}
			}
			return err
		},
	}
	flags.add(command)
	f := command.Flags()
	f.StringVar(&live.release, "release", "", "attack this release of a test environment")
	f.IntVar(&live.children, "children", 20000, "with --release: how many children its synthetic country has")
	f.StringVar(&live.purpose, "purpose", "", "with --release: purpose for which you ask")
	f.StringVar(&population, "population", "all", "dense, medium, sparse or all")
	f.IntVar(&o.Keys, "keys", 40, "how many noise keys, each with children of its own")
	f.Uint64Var(&o.Seed, "seed", 1, "the same seed plants the same children; with --release, that of its country")
	return command
}
