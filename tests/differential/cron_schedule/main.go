// Moments of cron schedules as robfig/cron has them: a list of questions on standard input, of answers on output.
package main

import (
	"encoding/json"
	"os"
	"time"

	"github.com/robfig/cron/v3"
)

type question struct {
	Schedule string
	Zone     string
	After    int64
	Count    int
}

func answer(asked question) any {
	text := asked.Schedule
	if asked.Zone != "" {
		text = "TZ=" + asked.Zone + " " + text
	}
	schedule, err := cron.ParseStandard(text)
	if err != nil {
		return err.Error()
	}
	moment := time.Unix(asked.After, 0).UTC()
	moments := []int64{}
	for range asked.Count {
		moment = schedule.Next(moment)
		if moment.IsZero() {
			break
		}
		moments = append(moments, moment.Unix())
	}
	return moments
}

func main() {
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		panic(err)
	}
	answers := make([]any, len(questions))
	for i, asked := range questions {
		answers[i] = answer(asked)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}
