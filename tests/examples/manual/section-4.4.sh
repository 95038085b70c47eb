curl -s -b ./track_cookie https://track.safectory.com/api/devices | jq -r '.. | objects |
select(.name and (.name | contains("quickstart-guide-device-1"))) | select(.id)'
