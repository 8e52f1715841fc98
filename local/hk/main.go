// Command hk holds a whole Kubernetes control plane and node in one binary.
// Which component runs is decided by the name the binary is started under.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	name := filepath.Base(os.Args[0])
	if name == "hk" && len(os.Args) > 1 { // hk kubelet --flags also works
		name, os.Args = os.Args[1], os.Args[1:]
	}
	cobras := map[string]func() *cobra.Command{
		"kube-apiserver":          apiserver.NewAPIServerCommand,
		"kube-controller-manager": controllers.NewControllerManagerCommand,
		"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
		"kube-proxy":              proxy.NewProxyCommand,
		"kubelet": func() *cobra.Command {
			return kubelet.NewKubeletCommand(context.Background())
		},
	}
	switch {
	case cobras[name] != nil:
		os.Exit(cli.Run(cobras[name]()))
	case name == "kubectl":
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			kubectlutil.CheckErr(err)
		}
	case name == "etcd":
		etcdmain.Main(os.Args)
	case name == "coredns":
		runCoreDNS()
	default:
		known := []string{"etcd", "kubectl", "coredns"}
		for k := range cobras {
			known = append(known, k)
		}
		fmt.Fprintf(os.Stderr, "hk: start me as one of: %s\n", strings.Join(known, " "))
		os.Exit(2)
	}
}
