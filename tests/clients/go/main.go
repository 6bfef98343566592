// tests/clients/go/main.go - the official Go library, unmodified, judges webhooks: JSON rows {key,
// secret, headers, body} from stdin; says how many it refuses and how many events it reads (HOOK-2).
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"github.com/pusher/pusher-http-go/v5"
)

type row struct {
	Key, Secret, Body string
	Headers           map[string]string
}

func main() {
	var rows []row
	if err := json.NewDecoder(os.Stdin).Decode(&rows); err != nil {
		panic(err)
	}
	bad, events := 0, 0
	for _, r := range rows {
		client := pusher.Client{AppID: "1", Key: r.Key, Secret: r.Secret}
		header := http.Header{}
		for name, value := range r.Headers {
			header.Set(name, value)
		}
		hook, err := client.Webhook(header, []byte(r.Body))
		if err != nil {
			bad++
			continue
		}
		events += len(hook.Events)
	}
	fmt.Printf("{\"bad\": %d, \"events\": %d}\n", bad, events)
}
