// Command eso is the real External Secrets Operator for the test suite: the
// upstream controller as it is released, built from its module. It exists
// because upstream publishes images only and tests must not need a container
// engine.
package main

import "github.com/external-secrets/external-secrets/cmd/controller"

func main() {
	controller.Execute()
}
