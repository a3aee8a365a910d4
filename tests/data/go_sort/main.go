// Prints what Go's sort.Slice does with the inputs of src/scheduler/go_sort_tests.rs: for every input a digest of the pairs that are
// compared and of the order that is left. Any Go from 1.22 on (older ones draw other pseudorandom numbers to break patterns):
//
//	go run tests/data/go_sort/main.go
package main

import (
	"fmt"
	"sort"
)

type item struct{ key, id uint64 }

type digest uint64

func (d *digest) add(n uint64) { *d = (*d ^ digest(n)) * 1099511628211 }

func keys(pattern string, length int) []uint64 {
	random := uint64(length)
	next := func(below uint64) uint64 {
		random = random*6364136223846793005 + 1442695040888963407
		return random >> 33 % below
	}
	data := make([]uint64, length)
	for i := range data {
		n, l := uint64(i), uint64(length)
		switch pattern {
		case "two":
			data[i] = next(2)
		case "few":
			data[i] = next(7)
		case "many":
			data[i] = next(1 << 30)
		case "ascending":
			data[i] = n
		case "descending":
			data[i] = l - n
		case "steps":
			data[i] = n / 5
		case "pipe":
			data[i] = min(n, l-n)
		case "saw":
			data[i] = n % 11
		case "nearly", "backwards":
			data[i] = n * 2
			if next(20) == 0 {
				data[i] = next(l * 2)
			}
			if pattern == "backwards" {
				data[i] = l*2 - data[i]
			}
		case "last":
			data[i] = n
			if i+1 == length {
				data[i] = 0
			}
		}
	}
	return data
}

func min(a, b uint64) uint64 {
	if a < b {
		return a
	}
	return b
}

func main() {
	patterns := []string{"two", "few", "many", "ascending", "descending", "steps", "pipe", "saw", "nearly", "backwards", "last"}
	lengths := []int{12, 13, 25, 49, 50, 51, 100, 200, 777}
	for _, pattern := range patterns {
		for _, kind := range []string{"less", "less or equal"} {
			fmt.Printf("(%q, %q, [", pattern, kind)
			for at, length := range lengths {
				seen := digest(14695981039346656037)
				data := make([]item, length)
				for i, key := range keys(pattern, length) {
					data[i] = item{key, uint64(i)}
				}
				sort.Slice(data, func(i, j int) bool {
					seen.add(data[i].id)
					seen.add(data[j].id)
					return data[i].key < data[j].key || kind != "less" && data[i].key == data[j].key
				})
				for _, d := range data {
					seen.add(d.id)
				}
				if at > 0 {
					fmt.Print(", ")
				}
				fmt.Printf("0x%016x", uint64(seen))
			}
			fmt.Println("]),")
		}
	}
	// An adversary that decides what is less while it is asked, so that every pivot is bad (McIlroy).
	fmt.Print("adversary: [")
	for at, length := range lengths {
		seen := digest(14695981039346656037)
		gas := uint64(length)
		value, solid, candidate := make([]uint64, length), uint64(0), uint64(0)
		data := make([]uint64, length)
		for i := range data {
			data[i], value[i] = uint64(i), gas
		}
		sort.Slice(data, func(i, j int) bool {
			x, y := data[i], data[j]
			seen.add(x)
			seen.add(y)
			if value[x] == gas && value[y] == gas {
				if x == candidate {
					value[x] = solid
				} else {
					value[y] = solid
				}
				solid++
			}
			if value[x] == gas {
				candidate = x
			} else if value[y] == gas {
				candidate = y
			}
			return value[x] < value[y]
		})
		for _, d := range data {
			seen.add(d)
		}
		if at > 0 {
			fmt.Print(", ")
		}
		fmt.Printf("0x%016x", uint64(seen))
	}
	fmt.Println("]")
	// Answers that are drawn, whatever is asked: so many of a hundred say yes. All lengths below 300 go into one digest.
	fmt.Print("whims: [")
	for at, yes := range []uint64{5, 20, 50, 80, 95} {
		seen := digest(14695981039346656037)
		for length := 0; length < 300; length++ {
			random := uint64(length)
			data := make([]uint64, length)
			for i := range data {
				data[i] = uint64(i)
			}
			sort.Slice(data, func(i, j int) bool {
				seen.add(data[i])
				seen.add(data[j])
				random = random*6364136223846793005 + 1442695040888963407
				return random>>33%100 < yes
			})
			for _, d := range data {
				seen.add(d)
			}
		}
		if at > 0 {
			fmt.Print(", ")
		}
		fmt.Printf("0x%016x", uint64(seen))
	}
	fmt.Println("]")
}
