// Command argo holds what of Argo CD a test needs, in one binary: the application controller, the repo server, the
// command line, and what they look for beside them: a Redis, and kustomize.
// Which of them runs is decided by the name the binary is started under.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/alicebob/miniredis/v2"
	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	cli "github.com/argoproj/argo-cd/v3/cmd/argocd/commands"
	"github.com/spf13/cobra"
	kustomize "sigs.k8s.io/kustomize/kustomize/v5/commands"
)

func main() {
	name := filepath.Base(os.Args[0])
	commands := map[string]func() *cobra.Command{
		"argocd":                        cli.NewCommand,
		"argocd-application-controller": controller.NewCommand,
		"argocd-repo-server":            reposerver.NewCommand,
		"kustomize":                     kustomize.NewDefaultCommand,
		"redis":                         redis,
	}
	if commands[name] == nil {
		fmt.Fprintf(os.Stderr, "argo: start me as argocd, argocd-application-controller, argocd-repo-server, kustomize or redis\n")
		os.Exit(2)
	}
	if commands[name]().Execute() != nil {
		os.Exit(1)
	}
}

// redis is the one that Argo CD's own tests use. Its clock stands still unless it is told of the time.
func redis() *cobra.Command {
	return &cobra.Command{
		Use:  "redis ADDRESS",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			server := miniredis.NewMiniRedis()
			if err := server.StartAddr(args[0]); err != nil {
				return err
			}
			for range time.Tick(time.Second) {
				server.FastForward(time.Second)
			}
			return nil
		},
	}
}
