curl -sS -b ./track_cookie https://track.safectory.com/api/beacons | jq -r '.. | objects |
select(.major == 4242 and .minor == 1)'
