// Command kube-apiserver is the real Kubernetes API for the test suite: the
// upstream kube-apiserver and etcd in one binary, chosen by the first argument.
// It exists because upstream publishes no such module and tests must not need
// a container engine.
package main

import (
	"fmt"
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: kube-apiserver etcd|apiserver [FLAG ...]")
		os.Exit(2)
	}
	role, args := os.Args[1], os.Args[2:]
	switch role {
	case "etcd":
		etcdmain.Main(append([]string{"etcd"}, args...))
	case "apiserver":
		command := app.NewAPIServerCommand()
		command.SetArgs(args)
		os.Exit(cli.Run(command))
	default:
		fmt.Fprintf(os.Stderr, "unknown role %q: expected etcd or apiserver\n", role)
		os.Exit(2)
	}
}
