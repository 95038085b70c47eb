curl -s -b ./track_cookie "https://track.safectory.com/api/positions" | jq
