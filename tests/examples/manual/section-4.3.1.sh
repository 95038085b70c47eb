curl -s -b ./track_cookie 'https://track.safectory.com/api/positions?id=794513672' | jq
