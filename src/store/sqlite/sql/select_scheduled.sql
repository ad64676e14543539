SELECT job FROM scheduled UNION ALL SELECT job FROM far UNION ALL SELECT job FROM series WHERE state = 0
