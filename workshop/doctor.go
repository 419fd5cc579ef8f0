//go:build linux

package main

import "github.com/spf13/cobra"

func (a *app) doctor() *cobra.Command { return &cobra.Command{Use: "doctor"} }
