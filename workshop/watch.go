//go:build linux

package main

import "github.com/spf13/cobra"

func (a *app) watch() *cobra.Command { return &cobra.Command{Use: "watch"} }
